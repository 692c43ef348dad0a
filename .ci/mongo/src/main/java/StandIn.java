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
 * Speaks MongoDB's protocol in tests, where no mongod can be had.
 *
 * <p>{@code java -jar target/mongo-stand-in.jar --port N --data DIR} serves on 127.0.0.1 until it is killed. What it has
 * acknowledged is in DIR and survives that, as with a journal, except that it does not wait for the disk.
 *
 * <p>Known differences: no transactions, sessions, partial indexes, pipelines in updates, explain or profiler; every
 * index that is not unique is accepted and ignored; and it scans where MongoDB looks up. So what it measures says
 * nothing about MongoDB.
 */
public final class StandIn {
    /** mongo-java-server says 4.2 by itself, which today's drivers refuse. */
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

    /** One command at a time, each committed to the file as a whole before it is answered. */
    private static final class Durable extends H2Backend {
        private static final Set<String> READS =
                Set.of("ping", "hello", "ismaster", "isMaster", "find", "getMore", "count", "distinct", "listIndexes");

        Durable(MVStore store) {
            super(store);
        }

        @Override
        public synchronized Document handleCommand(Channel channel, String database, String command, Document query) {
            // The store keeps documents as objects and updates change them in place, so who is answered gets copies.
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
        if (arguments.length != 4 || !arguments[0].equals("--port") || !arguments[2].equals("--data")) {
            System.err.println("usage: mongo-stand-in --port N --data DIR");
            System.exit(2);
        }
        Path data = Files.createDirectories(Path.of(arguments[3]));
        MVStore store = new MVStore.Builder()
                .fileName(data.resolve("mongo.mv").toString())
                .autoCommitDisabled()
                .autoCommitBufferSize(0)
                .open();
        MongoServer server = new MongoServer(new Durable(store).version(Version.FIVE));
        server.bind("127.0.0.1", Integer.parseInt(arguments[1]));
    }
}
