/* CUDA on one thread of the processor: what TVM's kernels use of it, each of their threads a fiber.
 *
 * Fibers run from one barrier to the next, in turn forwards and backwards, so that a barrier that is missing shows.
 * Lanes of a warp exchange values at barriers of the whole block, as TVM's kernels do that outside of any branch. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#define __global__ static
#define __shared__ static
#define __launch_bounds__(threads)
#define uint unsigned int
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min(a, b) ((a) < (b) ? (a) : (b))

typedef struct { int x, y, z; } dim3;
typedef struct { int x, y; } int2;
typedef struct { float x, y; } __attribute__((aligned(8))) float2;
static inline int2 make_int2(int x, int y) { return (int2){x, y}; }
static inline float2 make_float2(float x, float y) { return (float2){x, y}; }

enum { MOST = 1024, STACK = 1 << 16 };
typedef void (*hwa_body)(void **arguments);

/* Whether threads of a block ever disagreed about a barrier, and whether a vector ever lay where a GPU has none. */
int hwa_diverged, hwa_misaligned;

/* The compiler's checks of alignment (-fsanitize=alignment) call it. */
void __ubsan_handle_type_mismatch_v1(void *what, void *where)
{
    (void)what, (void)where;
    hwa_misaligned = 1;
}

static dim3 threadIdx, blockIdx, blockDim;
static ucontext_t scheduler, fibers[MOST];
static bool done[MOST];
static float lanes[MOST];
static int current;
static hwa_body body;
static void **body_arguments;

static inline void __syncthreads(void) { swapcontext(&fibers[current], &scheduler); }

static inline unsigned __activemask(void) { return ~0u; }

static float exchanged(float value, int from)
{
    lanes[current] = value;
    __syncthreads();
    const float got = from < blockDim.x * blockDim.y * blockDim.z ? lanes[from] : value;
    __syncthreads();
    return got;
}

static inline float __shfl_down_sync(unsigned mask, float value, int by, int width)
{
    (void)mask;
    return exchanged(value, current % width + by < width ? current + by : current);
}

static inline float __shfl_sync(unsigned mask, float value, int lane, int width)
{
    (void)mask;
    return exchanged(value, current / width * width + lane % width);
}

static void begin(void)
{
    body(body_arguments);
    done[current] = true;
}

static void resume(int thread)
{
    current = thread;
    threadIdx.x = thread % blockDim.x;
    threadIdx.y = thread / blockDim.x % blockDim.y;
    threadIdx.z = thread / blockDim.x / blockDim.y;
    swapcontext(&scheduler, &fibers[thread]);
}

static void run_block(int threads)
{
    static char *stacks;
    stacks = stacks ? stacks : malloc((size_t)MOST * STACK);
    for (int thread = 0; thread < threads; thread++) {
        done[thread] = false;
        getcontext(&fibers[thread]);
        fibers[thread].uc_stack.ss_sp = stacks + (size_t)thread * STACK;
        fibers[thread].uc_stack.ss_size = STACK;
        fibers[thread].uc_link = &scheduler;
        makecontext(&fibers[thread], begin, 0);
    }
    int left = threads;
    for (int turn = 0; left > 0; turn++) {
        int ended = 0;
        for (int n = 0; n < threads; n++) {
            const int thread = turn % 2 ? threads - 1 - n : n;
            if (!done[thread]) {
                resume(thread);
                ended += done[thread];
            }
        }
        hwa_diverged |= ended != 0 && ended != left;
        left -= ended;
    }
}

/* All blocks of `grid`, each of `block` threads. */
static void launch(hwa_body kernel, void **arguments, dim3 grid, dim3 block)
{
    body = kernel;
    body_arguments = arguments;
    blockDim = block;
    for (int n = 0; n < grid.x * grid.y * grid.z; n++) {
        blockIdx = (dim3){n % grid.x, n / grid.x % grid.y, n / grid.x / grid.y};
        run_block(block.x * block.y * block.z);
    }
}
