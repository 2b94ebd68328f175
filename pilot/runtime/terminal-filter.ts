/** A seccomp filter for payloads that share a person's terminal: they may use it, but not type into it. */

/** Architecture as the kernel's audit knows it, and the number of ioctl, by Node's name of the architecture. */
const ARCHITECTURES: Readonly<Record<string, { readonly audit: number; readonly ioctl: number }>> =
  {
    x64: { audit: 0xc000003e, ioctl: 16 },
    arm64: { audit: 0xc00000b7, ioctl: 29 },
  };

/** ioctl requests that put characters into a terminal's input, as if they had been typed (asm-generic/ioctls.h, tty.h). */
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;

/** Opcodes of classic BPF and answers of seccomp (linux/bpf_common.h, linux/seccomp.h). */
const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_EQUAL = 0x35;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;

/** Offsets in struct seccomp_data; of the second argument the lower half, which comes first on these architectures. */
const NUMBER_AT = 0;
const ARCHITECTURE_AT = 4;
const SECOND_ARGUMENT_AT = 24;
/** System calls of x32, a second set of numbers for the same architecture. */
const X32 = 0x40000000;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

/**
 * The filter as the kernel reads it: a program that types into its terminal would run commands as the person when the sandbox is
 * gone. Everything else is allowed, but for system calls of another architecture, with which it could be passed by. null
 * where the architecture is not known.
 */
export function terminalFilter(architecture: string): Buffer | null {
  const known = ARCHITECTURES[architecture];
  if (known === undefined) return null;
  const program: readonly Instruction[] = [
    [LOAD_WORD, 0, 0, ARCHITECTURE_AT],
    [JUMP_EQUAL, 0, 7, known.audit],
    [LOAD_WORD, 0, 0, NUMBER_AT],
    [JUMP_GREATER_EQUAL, 5, 0, X32],
    [JUMP_EQUAL, 0, 3, known.ioctl],
    [LOAD_WORD, 0, 0, SECOND_ARGUMENT_AT],
    [JUMP_EQUAL, 3, 0, TIOCSTI],
    [JUMP_EQUAL, 2, 0, TIOCLINUX],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, ENOSYS],
    [RETURN, 0, 0, EPERM],
  ];
  const bytes = Buffer.alloc(8 * program.length);
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, 8 * index);
    bytes.writeUInt8(ifTrue, 8 * index + 2);
    bytes.writeUInt8(ifFalse, 8 * index + 3);
    bytes.writeUInt32LE(value, 8 * index + 4);
  }
  return bytes;
}
