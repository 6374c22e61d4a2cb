/* The agent: measures kernels on the device it runs on and reports in JSON lines. See protocol.md. */
#include "bench.h"
#include "info.h"
#include "options.h"
#include "run.h"
#include "sysfs.h"

#include <stdio.h>
#include <string.h>

enum { USAGE = 2 };

static int usage(void)
{
    fputs("usage: agent info [--sysfs DIR]\n"
          "       agent cells\n"
          "       agent bench [--threads N] [--only-from FILE] [--min-time-ms N] [--min-count N] [--max-count N]\n"
          "                   [--timeout-ms N] [--seed N] [--displace-kb N] [CONDITIONS]\n"
          "       agent run [--threads N] [--input I.npy]... [--output O.npy]... [--per-op] [--thin]\n"
          "                 [--min-time-ms N] [--min-count N] [--max-count N] [--timeout-ms N] [--seed N] [CONDITIONS]\n"
          "CONDITIONS: [--cpu LIST | --no-pin] [--lock-frequency] [--cool-ms N] [--sysfs DIR]\n",
          stderr);
    return USAGE;
}

int main(int argc, char **argv)
{
    hwa_options options;
    if (argc >= 2 && strcmp(argv[1], "info") == 0) {
        if (argc == 4 && strcmp(argv[2], "--sysfs") == 0) {
            hwa_sysfs_root(argv[3]);
        } else if (argc != 2) {
            return usage();
        }
        return hwa_info();
    }
    if (argc == 2 && strcmp(argv[1], "cells") == 0) {
        return hwa_list_cells();
    }
    if (argc >= 2 && strcmp(argv[1], "bench") == 0) {
        return hwa_options_parse(HWA_BENCH, argc - 2, argv + 2, &options) ? hwa_bench(&options) : USAGE;
    }
    if (argc >= 2 && strcmp(argv[1], "run") == 0) {
        return hwa_options_parse(HWA_RUN, argc - 2, argv + 2, &options) ? hwa_run(&options) : USAGE;
    }
    return usage();
}
