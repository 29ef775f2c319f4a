#include "text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

text_t text(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  char *bytes = malloc((size_t)length + 1);
  va_start(arguments, format);
  vsnprintf(bytes, (size_t)length + 1, format, arguments);
  va_end(arguments);
  return (text_t){(uint8_t *)bytes, (size_t)length};
}

bool text_is(text_t text, const char *other) {
  return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

text_t text_trimmed(text_t given) {
  size_t from = 0, to = given.len;
  while (from < to && isspace(given.ptr[from])) from++;
  while (to > from && isspace(given.ptr[to - 1])) to--;
  return text("%.*s", (int)(to - from), (const char *)given.ptr + from);
}

/* JSON comes from the host or from a step before, so it is well formed; whatever is not is simply not found. */

typedef struct {
  const uint8_t *at, *end;
} reader_t;

static void skip_space(reader_t *reader) {
  while (reader->at < reader->end && isspace(*reader->at)) reader->at++;
}

static unsigned hex4(const uint8_t *digits) {
  char copy[5] = {0};
  memcpy(copy, digits, 4);
  return (unsigned)strtoul(copy, NULL, 16);
}

static char *put_utf8(char *out, unsigned point) {
  if (point < 0x80) {
    *out++ = (char)point;
  } else if (point < 0x800) {
    *out++ = (char)(0xc0 | point >> 6);
    *out++ = (char)(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    *out++ = (char)(0xe0 | point >> 12);
    *out++ = (char)(0x80 | (point >> 6 & 0x3f));
    *out++ = (char)(0x80 | (point & 0x3f));
  } else {
    *out++ = (char)(0xf0 | point >> 18);
    *out++ = (char)(0x80 | (point >> 12 & 0x3f));
    *out++ = (char)(0x80 | (point >> 6 & 0x3f));
    *out++ = (char)(0x80 | (point & 0x3f));
  }
  return out;
}

/* A string, its quotes and escapes taken away. */
static bool read_string(reader_t *reader, text_t *value) {
  if (reader->at >= reader->end || *reader->at != '"') return false;
  reader->at++;
  /* No escape is shorter than what it stands for. */
  char *bytes = malloc((size_t)(reader->end - reader->at) + 1), *out = bytes;
  while (reader->at < reader->end && *reader->at != '"') {
    uint8_t byte = *reader->at++;
    if (byte != '\\') {
      *out++ = (char)byte;
      continue;
    }
    if (reader->at >= reader->end) return false;
    byte = *reader->at++;
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    const char *letter = byte ? strchr(letters, byte) : NULL;
    if (byte == 'u') {
      if (reader->end - reader->at < 4) return false;
      unsigned point = hex4(reader->at);
      reader->at += 4;
      if (point >= 0xd800 && point < 0xdc00 && reader->end - reader->at >= 6 && memcmp(reader->at, "\\u", 2) == 0) {
        point = 0x10000 + ((point - 0xd800) << 10) + (hex4(reader->at + 2) - 0xdc00);
        reader->at += 6;
      }
      out = put_utf8(out, point);
    } else {
      *out++ = letter ? meanings[letter - letters] : (char)byte;
    }
  }
  if (reader->at >= reader->end) return false;
  reader->at++;
  *value = (text_t){(uint8_t *)bytes, (size_t)(out - bytes)};
  return true;
}

/* Any value: a string without its quotes, anything else as it is written. */
static bool read_value(reader_t *reader, text_t *value) {
  skip_space(reader);
  if (reader->at < reader->end && *reader->at == '"') return read_string(reader, value);
  const uint8_t *from = reader->at;
  int depth = 0;
  while (reader->at < reader->end) {
    uint8_t byte = *reader->at;
    if (depth == 0 && (byte == ',' || byte == '}' || byte == ']')) break;
    text_t inner;
    if (byte == '"') {
      if (!read_string(reader, &inner)) return false;
      continue;
    }
    if (byte == '{' || byte == '[') depth++;
    if (byte == '}' || byte == ']') depth--;
    reader->at++;
  }
  *value = text_trimmed((text_t){(uint8_t *)from, (size_t)(reader->at - from)});
  return true;
}

bool json_text(text_t object, const char *key, text_t *value) {
  reader_t reader = {object.ptr, object.ptr + object.len};
  skip_space(&reader);
  if (reader.at >= reader.end || *reader.at != '{') return false;
  do {
    reader.at++;
    skip_space(&reader);
    text_t name, found;
    if (!read_string(&reader, &name)) return false;
    skip_space(&reader);
    if (reader.at >= reader.end || *reader.at++ != ':') return false;
    if (!read_value(&reader, &found)) return false;
    if (text_is(name, key)) {
      *value = found;
      return true;
    }
    skip_space(&reader);
  } while (reader.at < reader.end && *reader.at == ',');
  return false;
}

text_t json_quoted(text_t given) {
  char *bytes = malloc(given.len * 6 + 3), *out = bytes;
  *out++ = '"';
  for (size_t i = 0; i < given.len; i++) {
    uint8_t byte = given.ptr[i];
    if (byte == '"' || byte == '\\') {
      *out++ = '\\';
      *out++ = (char)byte;
    } else if (byte < 0x20) {
      out += sprintf(out, "\\u%04x", byte);
    } else {
      *out++ = (char)byte;
    }
  }
  *out++ = '"';
  return (text_t){(uint8_t *)bytes, (size_t)(out - bytes)};
}
