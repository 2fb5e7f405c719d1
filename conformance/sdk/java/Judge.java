// The SDK for Java: writes the events that it is told to, and tells what it reads. One JSON object a line, in and out;
// what each may be stands in conformance/sdk/README.md.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.provider.EventFormatProvider;
import io.cloudevents.http.HttpMessageFactory;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.KafkaMessageFactory;
import io.cloudevents.protobuf.ProtobufFormat;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;

public class Judge {
    static final ObjectMapper JSON = new ObjectMapper();
    static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    static byte[] unpacked(JsonNode text) {
        return text == null || text.isNull() ? null : Base64.getDecoder().decode(text.asText());
    }

    static String packed(byte[] data) {
        return data == null ? null : Base64.getEncoder().encodeToString(data);
    }

    static CloudEvent made(JsonNode told) {
        CloudEventBuilder event = CloudEventBuilder.v1().withId(told.get("ID").asText())
            .withSource(URI.create(told.get("Source").asText())).withType(told.get("Type").asText());
        String kind = told.path("DataContentType").asText("");
        if (!told.path("Subject").asText("").isEmpty()) event.withSubject(told.get("Subject").asText());
        if (!told.path("Time").asText("").isEmpty()) event.withTime(OffsetDateTime.parse(told.get("Time").asText()));
        if (!told.path("DataSchema").asText("").isEmpty()) event.withDataSchema(URI.create(told.get("DataSchema").asText()));
        if (!kind.isEmpty()) event.withDataContentType(kind);
        told.path("Extensions").fields().forEachRemaining(entry -> {
            String name = entry.getKey();
            String value = entry.getValue().get("Value").asText();
            switch (entry.getValue().get("Kind").asText()) {
                case "flag" -> event.withExtension(name, Boolean.valueOf(value));
                case "count" -> event.withExtension(name, Integer.valueOf(value));
                case "bytes" -> event.withExtension(name, Base64.getDecoder().decode(value));
                case "uri", "uriref" -> event.withExtension(name, URI.create(value));
                case "time" -> event.withExtension(name, OffsetDateTime.parse(value));
                default -> event.withExtension(name, value);
            }
        });
        byte[] data = unpacked(told.get("data_base64"));
        if (data != null) event.withData(data);
        return event.build();
    }

    static String text(Object value) {
        if (value instanceof byte[] bytes) return packed(bytes);
        if (value instanceof OffsetDateTime time) return time.format(DateTimeFormatter.ISO_OFFSET_DATE_TIME);
        return value.toString();
    }

    static ObjectNode seen(CloudEvent event) {
        ObjectNode attributes = JSON.createObjectNode();
        for (String name : event.getAttributeNames()) {
            Object value = event.getAttribute(name);
            if (value != null) attributes.put(name, text(value));
        }
        for (String name : event.getExtensionNames()) {
            Object value = event.getExtension(name);
            attributes.put(name, text(value));
        }
        ObjectNode all = JSON.createObjectNode();
        all.set("attributes", attributes);
        all.put("data_base64", event.getData() == null ? null : packed(event.getData().toBytes()));
        return all;
    }

    static String format(String mode) {
        return mode.equals("protobuf") ? ProtobufFormat.PROTO_CONTENT_TYPE : JsonFormat.CONTENT_TYPE;
    }

    static JsonNode send(JsonNode asked) throws Exception {
        int status = 0;
        for (JsonNode told : asked.get("Events")) {
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(asked.get("To").asText()));
            List<byte[]> body = new ArrayList<>();
            var writer = HttpMessageFactory.createWriter(request::header, body::add);
            String mode = asked.get("Mode").asText();
            if (mode.equals("binary")) writer.writeBinary(made(told));
            else writer.writeStructured(made(told), format(mode));
            byte[] data = body.isEmpty() || body.get(0) == null ? new byte[0] : body.get(0);
            HttpResponse<String> answer = CLIENT.send(
                request.POST(HttpRequest.BodyPublishers.ofByteArray(data)).build(), HttpResponse.BodyHandlers.ofString());
            status = answer.statusCode();
            if (status >= 300) throw new IllegalStateException(status + " " + answer.body());
        }
        return JSON.createObjectNode().put("status", status);
    }

    static JsonNode record(JsonNode asked) {
        var writer = KafkaMessageFactory.createWriter("topic");
        String mode = asked.get("Mode").asText();
        CloudEvent event = made(asked.get("Event"));
        ProducerRecord<Void, byte[]> record =
            mode.equals("binary") ? writer.writeBinary(event) : writer.writeStructured(event, format(mode));
        ArrayNode headers = JSON.createArrayNode();
        for (Header header : record.headers()) {
            headers.add(JSON.createArrayNode().add(header.key()).add(packed(header.value())));
        }
        ObjectNode all = JSON.createObjectNode();
        all.set("headers", headers);
        all.putNull("key");
        all.put("value", packed(record.value()));
        return all;
    }

    static JsonNode events(CloudEvent event) {
        ObjectNode all = JSON.createObjectNode();
        all.set("events", JSON.createArrayNode().add(seen(event)));
        return all;
    }

    static JsonNode readHttp(JsonNode asked) {
        Map<String, String> headers = new HashMap<>();
        for (JsonNode pair : asked.get("Headers")) {
            headers.put(pair.get("Name").asText(), new String(unpacked(pair.get("Value")), StandardCharsets.UTF_8));
        }
        byte[] body = unpacked(asked.get("Value"));
        return events(HttpMessageFactory.createReader(headers, body).toEvent());
    }

    static JsonNode readRecord(JsonNode asked) {
        RecordHeaders headers = new RecordHeaders();
        for (JsonNode pair : asked.get("Headers")) headers.add(pair.get("Name").asText(), unpacked(pair.get("Value")));
        return events(KafkaMessageFactory.createReader(headers, unpacked(asked.get("Value"))).toEvent());
    }

    static JsonNode answer(String line) {
        try {
            JsonNode asked = JSON.readTree(line);
            return switch (asked.get("Do").asText()) {
                case "send" -> send(asked);
                case "record" -> record(asked);
                case "read-http" -> readHttp(asked);
                default -> readRecord(asked);
            };
        } catch (Exception problem) {
            return JSON.createObjectNode().put("error", problem.toString());
        }
    }

    public static void main(String[] arguments) throws Exception {
        EventFormatProvider.getInstance();
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.write((JSON.writeValueAsString(answer(line)) + "\n").getBytes(StandardCharsets.UTF_8));
            System.out.flush();
        }
    }
}
