/* What is read of a /proc/cpuinfo, the file that is named first; the rest are the capacities of cpu 0, 1, ... Prints the
 * processor as one line of JSON. */
#include "processor.h"

#include "sysfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *cpuinfo;
static int capacities;
static char **capacity;

bool hwa_read_text(const char *path, char *out, size_t size)
{
    if (strcmp(path, "/proc/cpuinfo") != 0) {
        snprintf(out, size, "%s", hwa_arch()); /* /proc/sys/kernel/arch: nothing is emulated */
        return true;
    }
    FILE *file = fopen(cpuinfo, "r");
    const size_t got = file != NULL ? fread(out, 1, size - 1, file) : 0;
    out[got] = '\0';
    if (file != NULL) {
        fclose(file);
    }
    return got > 0;
}

int64_t hwa_cpu_int(int32_t cpu, const char *leaf)
{
    return strcmp(leaf, "cpu_capacity") == 0 && cpu < capacities ? strtoll(capacity[cpu], NULL, 10) : -1;
}

int main(int argc, char **argv)
{
    static hwa_processor processor;
    hwa_text line = {0};
    if (argc < 2) {
        return 2;
    }
    cpuinfo = argv[1];
    capacities = argc - 2;
    capacity = argv + 2;
    hwa_processor_read(&processor);
    hwa_text_raw(&line, "{");
    hwa_text_string(&line, "model", processor.model);
    hwa_text_string(&line, "part", processor.part);
    hwa_processor_features_json(&line, &processor);
    hwa_text_key(&line, "cpus");
    hwa_text_raw(&line, "[");
    for (int32_t cpu = 0; cpu < 3; cpu++) {
        hwa_text_key(&line, NULL);
        hwa_text_raw(&line, "{");
        hwa_processor_core_json(&line, &processor, cpu);
        hwa_text_raw(&line, "}");
    }
    hwa_text_raw(&line, "]");
    hwa_text_raw(&line, "}");
    const bool ok = hwa_text_write(&line, STDOUT_FILENO);
    hwa_text_free(&line);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
