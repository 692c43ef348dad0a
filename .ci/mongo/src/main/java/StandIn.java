import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.bson.Document;
import io.netty.channel.Channel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.h2.mvstore.MVStore;

/**
 * A test server that speaks MongoDB's protocol, for machines without {@code mongod}.
 *
 * <p>{@code java -jar target/mongo-stand-in.jar --port N --data DIR [--bind ADDRESS]} serves on 127.0.0.1:N, or
 * ADDRESS:N, until it is killed.
 * Acknowledged writes are in DIR and survive {@code kill -9}, but not a power failure: nothing is synced to disk.
 *
 * <p>Known differences from MongoDB: no transactions, sessions, partial indexes, update pipelines, explain or profiler.
 * Non-unique indexes are accepted and ignored. Queries scan the collection, so timings say nothing about MongoDB.
 */
public final class StandIn {
    /** mongo-java-server's own 5.0 announces the wire version of 4.2, which current drivers refuse. */
    private enum Version implements MongoVersion {
        FIVE;

        @Override
        public List<Integer> getVersionArray() {
            return List.of(5, 0, 0);
        }

        @Override
        public int getWireVersion() {
            return 13;
        }
    }

    /** Runs one command at a time and commits each write to the file before answering. */
    private static final class Durable extends H2Backend {
        private static final Set<String> READS =
                Set.of("ping", "hello", "ismaster", "isMaster", "find", "getMore", "count", "distinct", "listIndexes");

        Durable(MVStore store) {
            super(store);
        }

        @Override
        public synchronized Document handleCommand(Channel channel, String database, String command, Document query) {
            // The backend updates documents in place, so replies must not share them.
            if (READS.contains(command)) {
                return super.handleCommand(channel, database, command, query).cloneDeeply();
            }
            try {
                return super.handleCommand(channel, database, command, query).cloneDeeply();
            } finally {
                commit();
            }
        }
    }

    private StandIn() {}

    public static void main(String[] arguments) throws Exception {
        boolean bind = arguments.length == 6 && arguments[4].equals("--bind");
        if (!(bind || arguments.length == 4) || !arguments[0].equals("--port") || !arguments[2].equals("--data")) {
            System.err.println("usage: mongo-stand-in --port N --data DIR [--bind ADDRESS]");
            System.exit(2);
        }
        Path data = Files.createDirectories(Path.of(arguments[3]));
        MVStore store = new MVStore.Builder()
                .fileName(data.resolve("mongo.mv").toString())
                .autoCommitDisabled()
                .autoCommitBufferSize(0)
                .open();
        MongoServer server = new MongoServer(new Durable(store).version(Version.FIVE));
        server.bind(bind ? arguments[5] : "127.0.0.1", Integer.parseInt(arguments[1]));
    }
}
