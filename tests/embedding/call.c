// A call in C. Its server is a list of texts, where yours is a socket; the steps are the same.

#include <stdio.h>

#include "machine.h"

// Does what the machine wants, until it wants nothing more.
static void drain(struct Machine *machine) {
    const char *text;
    const uint8_t *audio;
    for (int32_t kind; (kind = machine_poll(machine, &text)) != 0;) {
        switch (kind) {
        case 1: printf("send  %s\n", text); break;  // to the socket
        case 2: printf("event %s\n", text); break;  // to the application
        case 3: printf("close\n"); break;           // the socket
        case 4: printf("audio %zu bytes\n", machine_audio(machine, &audio)); break;  // to the loudspeaker
        }
    }
}

int main(void) {
    static const char *const server[] = {
        "{\"type\":\"session.created\",\"event_id\":\"e1\",\"session\":{\"id\":\"s1\"}}",
        "{\"type\":\"session.updated\",\"event_id\":\"e2\",\"session\":{\"id\":\"s1\"}}",
    };
    static const char *const answer[] = {
        "{\"type\":\"response.created\",\"event_id\":\"e3\",\"response\":{\"id\":\"r1\",\"status\":\"in_progress\"}}",
        "{\"type\":\"response.output_audio.delta\",\"event_id\":\"e4\",\"response_id\":\"r1\",\"item_id\":\"i1\","
        "\"output_index\":0,\"content_index\":0,\"delta\":\"AAABAAIAAwA=\"}",
        "{\"type\":\"response.done\",\"event_id\":\"e5\",\"response\":{\"id\":\"r1\",\"status\":\"completed\"}}",
    };
    static const uint8_t silence[960] = {0};
    uint64_t now_us = 0;

    struct Machine *machine = machine_new(now_us, 1800000000);
    drain(machine);
    for (size_t i = 0; i < sizeof server / sizeof *server; i++) {
        machine_text(machine, now_us += 40000, server[i]);
        drain(machine);
    }
    if (machine_command(machine, now_us, 1, "{\"create_response\":{}}") != 0) return 1;
    if (machine_command(machine, now_us, 2, "nonsense") != 1) return 2;
    if (machine_append(machine, now_us, silence, sizeof silence) != 0) return 3;
    if (machine_append(machine, now_us, silence, 1) != 2) return 4;
    drain(machine);
    for (size_t i = 0; i < sizeof answer / sizeof *answer; i++) {
        machine_text(machine, now_us += 40000, answer[i]);
        drain(machine);
    }
    if (machine_timeout(machine, now_us) <= now_us) return 5;
    drain(machine);
    if (machine_command(machine, now_us, 3, "{\"close\":{}}") != 0) return 6;
    drain(machine);
    machine_disconnected(machine, now_us, "{\"closed\":{\"code\":1000,\"reason\":\"\"}}");
    drain(machine);
    machine_free(machine);
    return 0;
}
