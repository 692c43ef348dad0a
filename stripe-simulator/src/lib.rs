//! stripe-simulator
