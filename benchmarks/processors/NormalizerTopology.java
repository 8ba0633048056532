// A Kafka Streams topology of one thread that does what work.py does, with Jackson and an encoder written out
// by hand, as Avro's compiler would write it. Started with a JSON file; works until SIGTERM.

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;

public final class NormalizerTopology {
    private static final String PRODUCER = StreamsConfig.PRODUCER_PREFIX;
    private static final String CONSUMER = StreamsConfig.MAIN_CONSUMER_PREFIX;

    public static void main(String[] arguments) throws Exception {
        JsonNode told = new ObjectMapper().readTree(new File(arguments[0]));
        JsonNode assignment = told.get("assignment");
        Topology topology = new Topology();
        Work work = new Work(told);
        topology.addSource(
            "orders", new ByteArrayDeserializer(), new ByteArrayDeserializer(), text(assignment, "source"));
        topology.addProcessor("normalize", () -> new Normalize(work), "orders");
        topology.addSink(
            "commands",
            text(assignment, "output"),
            new ByteArraySerializer(),
            new ByteArraySerializer(),
            "normalize");
        KafkaStreams streams = new KafkaStreams(topology, settings(assignment, text(told, "state")));
        streams.setUncaughtExceptionHandler(
            error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
    }

    private static Properties settings(JsonNode assignment, String state) {
        JsonNode tuning = assignment.get("tuning");
        Properties set = new Properties();
        set.put(StreamsConfig.APPLICATION_ID_CONFIG, text(assignment, "group"));
        set.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, text(assignment, "servers"));
        set.put(StreamsConfig.STATE_DIR_CONFIG, state);
        set.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        set.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, tuning.get("commit_ms").asLong());
        set.put(PRODUCER + ProducerConfig.ACKS_CONFIG, "all");
        set.put(PRODUCER + ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        set.put(PRODUCER + ProducerConfig.LINGER_MS_CONFIG, tuning.get("linger_ms").asInt());
        set.put(PRODUCER + ProducerConfig.BATCH_SIZE_CONFIG, tuning.get("batch_bytes").asInt());
        set.put(PRODUCER + ProducerConfig.COMPRESSION_TYPE_CONFIG, text(tuning, "compression"));
        set.put(PRODUCER + ProducerConfig.BUFFER_MEMORY_CONFIG, 64L * 1024 * 1024);
        set.put(CONSUMER + ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        set.put(CONSUMER + ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        set.put(CONSUMER + ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, tuning.get("fetch_wait_ms").asInt());
        set.put(CONSUMER + ConsumerConfig.FETCH_MIN_BYTES_CONFIG, tuning.get("fetch_min_bytes").asInt());
        set.put(CONSUMER + ConsumerConfig.FETCH_MAX_BYTES_CONFIG, tuning.get("fetch_bytes").asInt());
        set.put(
            CONSUMER + ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
            tuning.get("partition_fetch_bytes").asInt());
        set.put(CONSUMER + ConsumerConfig.MAX_POLL_RECORDS_CONFIG, tuning.get("poll_records").asInt());
        set.put(CONSUMER + ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, tuning.get("session_ms").asInt());
        set.put(CONSUMER + ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, tuning.get("heartbeat_ms").asInt());
        return set;
    }

    private static String text(JsonNode node, String name) {
        return node.get(name).asText();
    }

    private static final class Normalize implements Processor<byte[], byte[], byte[], byte[]> {
        private final Work work;
        private ProcessorContext<byte[], byte[]> context;

        Normalize(Work work) {
            this.work = work;
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            RecordMetadata place = context.recordMetadata().orElseThrow();
            context.forward(work.command(record.value(), place.partition(), place.offset(), record.timestamp()));
        }
    }

    // --- the work -----------------------------------------------------------------------------------------

    static final class Target {
        public String plan;
        public Long seats;
        public List<String> modules;
    }

    static final class Order {
        @JsonProperty(required = true)
        public String reference;

        @JsonProperty(required = true)
        public Target target;

        @JsonProperty("account_id")
        public String accountId;

        @JsonProperty("subscription_id")
        public String subscriptionId;

        public String effective;
        public String quote;

        @JsonProperty("payment_method")
        public String paymentMethod;

        @JsonProperty("requested_by")
        public String requestedBy;

        @JsonProperty("requested_at")
        public String requestedAt;

        @JsonProperty("validate_only")
        public Boolean validateOnly;
    }

    record Ref(String channel, String source, String kind, String accountId, String subscriptionId) {}

    static final class Work {
        private static final String CHANNEL = "portal";
        private static final String SOURCE = "main";
        private static final String OWN = "*";
        private static final String FIELD = "\u001f";
        private static final String LIST = "\u001e";
        private static final byte[] TYPE = "PlaceOrder".getBytes(StandardCharsets.UTF_8);

        private final ObjectReader reader =
            JsonMapper.builder(new JsonFactory())
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
                .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
                .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
                .build()
                .readerFor(Order.class);
        private final Map<String, List<Ref>> refs = new HashMap<>();
        private final Map<String, String> plans = new HashMap<>();
        private final MessageDigest sha1 = digest("SHA-1");
        private final MessageDigest sha256 = digest("SHA-256");
        private final AvroEncoder encoder = new AvroEncoder();
        private final byte[] namespace;
        private final int schemaId;
        private final String tenantId;
        private final boolean livemode;
        private final String appVersion;
        private final String topic;

        Work(JsonNode told) {
            schemaId = told.get("schema_id").asInt();
            tenantId = text(told, "tenant_id");
            livemode = told.get("livemode").asBoolean();
            appVersion = text(told, "app_version");
            topic = text(told, "topic");
            namespace = HexFormat.of().parseHex(text(told, "namespace"));
            told.get("plans").properties().forEach(plan -> plans.put(plan.getKey(), plan.getValue().asText()));
            for (JsonNode row : told.get("refs")) {
                Ref ref =
                    new Ref(
                        row.get(0).asText(),
                        row.get(1).asText(),
                        row.get(2).asText(),
                        row.get(4).asText(),
                        row.get(5).asText());
                refs.merge(
                    row.get(3).asText(),
                    List.of(ref),
                    (one, other) -> Stream.concat(one.stream(), other.stream()).toList());
            }
        }

        Record<byte[], byte[]> command(byte[] value, int partition, long offset, long receivedAt) {
            Order order = read(value);
            Ref found = resolve(order);
            String subscription = found.subscriptionId();
            String plan = order.target.plan == null ? null : plans.getOrDefault(order.target.plan, order.target.plan);
            List<String> modules = order.target.modules == null
                ? List.of()
                : List.copyOf(new TreeSet<>(order.target.modules));
            boolean validateOnly = Boolean.TRUE.equals(order.validateOnly);
            String kind = validateOnly ? "validate" : "order";
            RecordHeaders headers = new RecordHeaders();
            headers.add("type", TYPE);
            byte[] bytes = encoder
                .frame(schemaId)
                .text(tenantId)
                .bool(livemode)
                .text(uuid("command", kind, CHANNEL, SOURCE, order.reference, subscription))
                .bytes(TYPE)
                .text(found.accountId())
                .text(subscription)
                .text(CHANNEL)
                .text(SOURCE)
                .text(order.reference)
                .text(topic)
                .number(partition)
                .number(offset)
                .number(0)
                .number(1)
                .number(receivedAt)
                .nothing()
                .optional(order.requestedBy)
                .text(uuid("correlation", topic, Integer.toString(partition), Long.toString(offset)))
                .nothing()
                .nothing()
                .text(contentDigest(order, subscription, plan, modules))
                .text(appVersion)
                .nothing()
                .number(1)
                .optional(plan)
                .optional(order.target.seats)
                .texts(modules)
                .text("now")
                .optional(order.paymentMethod)
                .optional(order.requestedBy)
                .optional(order.requestedAt == null ? null : milliseconds(order.requestedAt))
                .texts(List.of())
                .bool(validateOnly)
                .bool(order.target.modules != null)
                .taken();
            return new Record<>(
                found.accountId().getBytes(StandardCharsets.UTF_8), bytes, receivedAt, headers);
        }

        private Order read(byte[] value) {
            Order order;
            try {
                order = reader.readValue(value);
            } catch (IOException error) {
                throw new IllegalArgumentException("not understood", error);
            }
            if (order.reference == null || order.target == null) {
                throw new IllegalArgumentException("MISSING_FIELD");
            }
            check(order.reference, 255);
            check(order.accountId, 255);
            check(order.subscriptionId, 255);
            check(order.effective, 128);
            check(order.quote, 300);
            check(order.paymentMethod, 255);
            check(order.requestedBy, 255);
            check(order.requestedAt, 128);
            check(order.target.plan, 128);
            if (order.target.modules != null) {
                order.target.modules.forEach(module -> check(module, 128));
            }
            boolean nothing =
                order.target.plan == null && order.target.seats == null && order.target.modules == null;
            if (nothing || (order.effective != null && !order.effective.equals("now")) || order.quote != null) {
                throw new IllegalArgumentException("no order of the benchmark");
            }
            return order;
        }

        private static void check(String text, int longest) {
            if (text == null) {
                return;
            }
            int length = text.length();
            boolean blank = true;
            for (int at = 0; at < length; at++) {
                char one = text.charAt(at);
                if (one < 0x20 || (one >= 0x7f && one <= 0x9f)) {
                    throw new IllegalArgumentException("CONTROL_CHARACTER");
                }
                blank &= Character.isWhitespace(one);
            }
            if (blank || length > longest) {
                throw new IllegalArgumentException("EMPTY_FIELD or TOO_LONG");
            }
        }

        private Ref resolve(Order order) {
            List<Ref> accounts = known("account", order.accountId);
            Ref found = known("subscription", order.subscriptionId).get(0);
            if (accounts.stream().noneMatch(one -> one.accountId().equals(found.accountId()))) {
                throw new IllegalArgumentException("REFERENCE_MISMATCH");
            }
            return found;
        }

        private List<Ref> known(String kind, String ref) {
            List<Ref> rows = refs.getOrDefault(ref, List.of());
            List<Ref> own = rows.stream()
                .filter(r -> r.kind().equals(kind) && r.channel().equals(CHANNEL) && r.source().equals(SOURCE))
                .toList();
            return own.isEmpty()
                ? rows.stream().filter(r -> r.kind().equals(kind) && r.channel().equals(OWN)).toList()
                : own;
        }

        private String contentDigest(Order order, String subscription, String plan, List<String> modules) {
            String named = String.join(LIST, modules);
            String content = String.join(
                FIELD,
                subscription,
                plan == null ? "" : plan,
                order.target.seats == null ? "" : order.target.seats.toString(),
                order.target.modules == null ? named : LIST + named,
                "now",
                order.paymentMethod == null ? "" : order.paymentMethod,
                "");
            return HexFormat.of().formatHex(sha256.digest(content.getBytes(StandardCharsets.UTF_8)));
        }

        private String uuid(String... parts) {
            sha1.update(namespace);
            byte[] hash = sha1.digest(String.join(FIELD, parts).getBytes(StandardCharsets.UTF_8));
            hash[6] = (byte) ((hash[6] & 0x0f) | 0x50);
            hash[8] = (byte) ((hash[8] & 0x3f) | 0x80);
            ByteBuffer halves = ByteBuffer.wrap(hash);
            return new UUID(halves.getLong(), halves.getLong()).toString();
        }

        private static long milliseconds(String instant) {
            return OffsetDateTime.parse(instant).toInstant().toEpochMilli();
        }

        private static MessageDigest digest(String name) {
            try {
                return MessageDigest.getInstance(name);
            } catch (NoSuchAlgorithmException error) {
                throw new IllegalStateException(error);
            }
        }
    }
}
