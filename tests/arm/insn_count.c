/* Counts the instructions that an emulated aarch64 program executes.
 *
 * A plugin of qemu-aarch64 (plugin API 1, as in qemu 7.2; Debian ships no header for it, so the
 * few functions are declared here). The program marks places in its run by calling getppid, which
 * nothing else calls: at each, what the calling thread has executed so far is written to the file
 * named by `out=`, one line a mark. Other threads do not count: runtimes keep some that wake up by
 * the clock. Blocks are counted when they are translated and added up when they run, which loses
 * no precision: only a block that is left by a fault counts in full.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
typedef void (*on_block)(plugin_id, struct qemu_plugin_tb *);
typedef void (*on_run)(unsigned, void *);
typedef void (*on_syscall)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t, uint64_t, uint64_t, uint64_t);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_block);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id, on_syscall);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, on_run,
                                                 enum qemu_plugin_cb_flags, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum { GETPPID = 173 /* on aarch64 */, THREADS = 256, DOTS_SHIFT = 16 };

/* Of each thread, by qemu's number for it, which is used again after a thread has ended. */
static struct {
    uint64_t instructions, dot_products;
} executed[THREADS];
static FILE *out;

/* SDOT or UDOT on vectors, whole or by element (Arm ARM, C7.2): four int8 products each lane. */
static int is_dot_product(uint32_t word)
{
    return (word & 0x9FE0FC00u) == 0x0E809400u || (word & 0x9FC0F400u) == 0x0F80E000u;
}

static void block_runs(unsigned thread, void *packed)
{
    uintptr_t lengths = (uintptr_t)packed;
    executed[thread % THREADS].instructions += lengths & ((1u << DOTS_SHIFT) - 1);
    executed[thread % THREADS].dot_products += lengths >> DOTS_SHIFT;
}

/* A block has 512 instructions at most, so that both numbers fit into the one argument. */
static void block_translated(plugin_id id, struct qemu_plugin_tb *block)
{
    size_t length = qemu_plugin_tb_n_insns(block);
    uintptr_t dots = 0;
    (void)id;
    for (size_t i = 0; i < length; i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof word);
        dots += is_dot_product(word);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(block, block_runs, QEMU_PLUGIN_CB_NO_REGS,
                                         (void *)(length | dots << DOTS_SHIFT));
}

static void syscall_entered(plugin_id id, unsigned thread, int64_t number, uint64_t a, uint64_t b,
                            uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
    (void)id, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == GETPPID) {
        fprintf(out, "%llu %llu\n",
                (unsigned long long)executed[thread % THREADS].instructions,
                (unsigned long long)executed[thread % THREADS].dot_products);
        fflush(out);
    }
}

__attribute__((visibility("default"))) int
qemu_plugin_install(plugin_id id, const struct qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
    if (!out) {
        fprintf(stderr, "insn_count: out=FILE is missing or cannot be written\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
    qemu_plugin_register_vcpu_syscall_cb(id, syscall_entered);
    return 0;
}
