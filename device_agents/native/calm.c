#include "calm.h"

#include "clock.h"
#include "sentinel.h"

#define BLOCK_NS 250000u

hwa_calm hwa_calm_asked(const hwa_options *options)
{
    return (hwa_calm){.work_ns = options->calm_work_ns,
                      .meeting_ns = options->calm_meeting_ns,
                      .patience_ns = options->patience_ms * 1000000};
}

static bool in_force(const hwa_calm *calm)
{
    return calm->work_ns > 0 && calm->patience_ns > 0;
}

bool hwa_calm_is_over(const hwa_calm *calm)
{
    return calm->work_ns > 0 && calm->patience_ns <= 0;
}

static void look(hwa_calm *calm)
{
    const hwa_sentinel now = hwa_sentinel_glance();
    calm->calm = now.work_ns <= calm->work_ns && (calm->meeting_ns == 0 || now.meeting_ns <= calm->meeting_ns);
}

void hwa_calm_wait(hwa_calm *calm)
{
    while (in_force(calm) && !calm->calm) {
        const uint64_t start = hwa_now_ns();
        look(calm);
        calm->patience_ns -= (int64_t)(hwa_now_ns() - start);
    }
}

bool hwa_calm_goes_on(uint64_t begun_ns)
{
    return hwa_now_ns() - begun_ns < BLOCK_NS;
}

bool hwa_calm_spoilt(hwa_calm *calm, uint64_t begun_ns)
{
    if (!in_force(calm)) {
        calm->gave_up = calm->gave_up || hwa_calm_is_over(calm);
        return false;
    }
    look(calm);
    if (calm->calm) {
        return false;
    }
    calm->patience_ns -= (int64_t)(hwa_now_ns() - begun_ns);
    calm->spoilt++;
    return true;
}

void hwa_calm_json(hwa_text *line, const hwa_calm *calm)
{
    if (calm->work_ns == 0) {
        hwa_text_null(line, "calm");
    } else {
        hwa_text_bool(line, "calm", !calm->gave_up);
    }
    hwa_text_int(line, "spoilt_blocks", calm->spoilt);
}
