// The machine of a session, for C. All texts are UTF-8 and end in a zero byte. A machine is used by one thread
// at a time. `src/lib.rs` says what each function does.
#ifndef REALTIME_MACHINE_H
#define REALTIME_MACHINE_H

#include <stddef.h>
#include <stdint.h>

struct Machine;

struct Machine *machine_new(uint64_t now_us, uint64_t wall_s);
void machine_text(struct Machine *, uint64_t now_us, const char *text);
int32_t machine_disconnected(struct Machine *, uint64_t now_us, const char *json);
int32_t machine_command(struct Machine *, uint64_t now_us, uint64_t id, const char *json);
int32_t machine_append(struct Machine *, uint64_t now_us, const uint8_t *audio, size_t bytes);
int32_t machine_media(struct Machine *, uint64_t now_us, const char *json);
int32_t machine_poll(struct Machine *, const char **text);
size_t machine_audio(const struct Machine *, const uint8_t **audio);
uint64_t machine_timeout(struct Machine *, uint64_t now_us);
void machine_free(struct Machine *);

#endif
