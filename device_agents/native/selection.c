#include "selection.h"

#include "hwa.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 4096 };

static int32_t find(const char *id)
{
    for (int32_t i = 0; i < hwa_n_cells; i++) {
        if (strcmp(hwa_cells[i].id, id) == 0) {
            return i;
        }
    }
    return -1;
}

/* Marks the wanted cells in `chosen`. */
static bool read_ids(FILE *file, const char *path, bool *chosen, char *reason, size_t size)
{
    char line[LINE_SIZE];
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        const int32_t index = find(line);
        if (line[0] != '\0' && index < 0) {
            snprintf(reason, size, "%.80s names the cell '%.120s', which this agent does not have", path, line);
            return false;
        }
        if (line[0] != '\0') {
            chosen[index] = true;
        }
    }
    if (ferror(file)) {
        snprintf(reason, size, "%.120s cannot be read: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static int32_t collect(const bool *chosen, int32_t *out)
{
    int32_t n = 0;
    for (int32_t i = 0; i < hwa_n_cells; i++) {
        if (chosen == NULL || chosen[i]) {
            out[n++] = i;
        }
    }
    return n;
}

int32_t hwa_select_cells(const char *path, int32_t *out, char *reason, size_t size)
{
    if (path == NULL) {
        return collect(NULL, out);
    }
    bool *chosen = calloc((size_t)hwa_n_cells + 1, sizeof *chosen);
    if (chosen == NULL) {
        snprintf(reason, size, "out of memory");
        return -1;
    }
    FILE *file = fopen(path, "r");
    int32_t n = -1;
    if (file == NULL) {
        snprintf(reason, size, "%.120s cannot be opened: %s", path, strerror(errno));
    } else {
        if (read_ids(file, path, chosen, reason, size)) {
            n = collect(chosen, out);
        }
        fclose(file);
    }
    free(chosen);
    return n;
}
