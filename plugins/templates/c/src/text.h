/* Texts and the little JSON that steps pass on. Nothing is freed: every step runs in a fresh instance, which ends with it. */
#ifndef TEXT_H
#define TEXT_H

#include "../bindings/plugin.h"

typedef plugin_string_t text_t;

/* A text made like printf does. The bindings own it, so that it may be returned to the host. */
text_t text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For `%.*s`: the length and the bytes of a text. */
#define TEXT(t) (int)(t).len, (const char *)(t).ptr

bool text_is(text_t text, const char *other);

/* A copy without the white space at both ends. */
text_t text_trimmed(text_t text);

/* The text or number under a key of a JSON object; false where there is none. */
bool json_text(text_t object, const char *key, text_t *value);

/* The text as a JSON string, in quotes. */
text_t json_quoted(text_t text);

#endif
