// The fields of a record, one after the other, in Avro's binary form.

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

final class AvroEncoder {
    private byte[] buffer = new byte[4096];
    private int length;

    AvroEncoder frame(int schemaId) {
        length = 0;
        room(5);
        buffer[length++] = 0;
        for (int shift = 24; shift >= 0; shift -= 8) {
            buffer[length++] = (byte) (schemaId >> shift);
        }
        return this;
    }

    AvroEncoder number(long value) {
        room(10);
        long left = (value << 1) ^ (value >> 63);
        while ((left & ~0x7fL) != 0) {
            buffer[length++] = (byte) ((left & 0x7f) | 0x80);
            left >>>= 7;
        }
        buffer[length++] = (byte) left;
        return this;
    }

    AvroEncoder bool(boolean value) {
        room(1);
        buffer[length++] = (byte) (value ? 1 : 0);
        return this;
    }

    AvroEncoder text(String value) {
        return bytes(value.getBytes(StandardCharsets.UTF_8));
    }

    AvroEncoder bytes(byte[] value) {
        number(value.length);
        room(value.length);
        System.arraycopy(value, 0, buffer, length, value.length);
        length += value.length;
        return this;
    }

    AvroEncoder texts(List<String> values) {
        if (!values.isEmpty()) {
            number(values.size());
            values.forEach(this::text);
        }
        return number(0);
    }

    AvroEncoder nothing() {
        return number(0);
    }

    AvroEncoder optional(String value) {
        return value == null ? nothing() : number(1).text(value);
    }

    AvroEncoder optional(Long value) {
        return value == null ? nothing() : number(1).number(value);
    }

    byte[] taken() {
        return Arrays.copyOf(buffer, length);
    }

    private void room(int wanted) {
        if (length + wanted > buffer.length) {
            buffer = Arrays.copyOf(buffer, Math.max(2 * buffer.length, length + wanted));
        }
    }
}
