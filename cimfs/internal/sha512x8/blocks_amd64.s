#include "textflag.h"

// Eight messages are hashed at once, each in one 64-bit lane of the registers. The
// rounds are those of FIPS 180-4, 6.4.2; nothing crosses lanes but the transposition
// of the blocks when they are read.
//
// Z0 to Z7 hold the variables a to h, Z8 to Z23 the sixteen words of the message
// schedule that are alive, Z24 to Z31 what is in between.

// The bytes of a word are big-endian.
DATA swap<>+0x00(SB)/8, $0x0001020304050607
DATA swap<>+0x08(SB)/8, $0x08090a0b0c0d0e0f
DATA swap<>+0x10(SB)/8, $0x0001020304050607
DATA swap<>+0x18(SB)/8, $0x08090a0b0c0d0e0f
DATA swap<>+0x20(SB)/8, $0x0001020304050607
DATA swap<>+0x28(SB)/8, $0x08090a0b0c0d0e0f
DATA swap<>+0x30(SB)/8, $0x0001020304050607
DATA swap<>+0x38(SB)/8, $0x08090a0b0c0d0e0f
GLOBL swap<>(SB), RODATA|NOPTR, $64

// Truth tables of VPTERNLOGQ: x^y^z, x?y:z, and the majority.
#define XOR3 $0x96
#define CHOOSE $0xCA
#define MAJORITY $0xE8

// T1 goes to h, d += T1, h += T2. The constant is at k(DI).
#define ROUND(a, b, c, d, e, f, g, h, w, k) \
	VPADDQ      w, h, h               \
	VPADDQ.BCST k(DI), h, h           \
	VPRORQ      $14, e, Z24           \
	VPRORQ      $18, e, Z25           \
	VPRORQ      $41, e, Z26           \
	VMOVDQA64   e, Z27                \
	VPTERNLOGQ  XOR3, Z26, Z25, Z24   \
	VPTERNLOGQ  CHOOSE, g, f, Z27     \
	VPADDQ      Z24, h, h             \
	VPADDQ      Z27, h, h             \
	VPADDQ      h, d, d               \
	VPRORQ      $28, a, Z28           \
	VPRORQ      $34, a, Z29           \
	VPRORQ      $39, a, Z30           \
	VMOVDQA64   a, Z31                \
	VPTERNLOGQ  XOR3, Z30, Z29, Z28   \
	VPTERNLOGQ  MAJORITY, c, b, Z31   \
	VPADDQ      Z28, h, h             \
	VPADDQ      Z31, h, h

// The next word in place of the one sixteen before: w += s0(w1) + w9 + s1(w14).
#define NEXT(w, w1, w9, w14) \
	VPRORQ     $1, w1, Z24          \
	VPRORQ     $8, w1, Z25          \
	VPSRLQ     $7, w1, Z26          \
	VPRORQ     $19, w14, Z27        \
	VPRORQ     $61, w14, Z28        \
	VPSRLQ     $6, w14, Z29         \
	VPTERNLOGQ XOR3, Z26, Z25, Z24  \
	VPTERNLOGQ XOR3, Z29, Z28, Z27  \
	VPADDQ     w9, w, w             \
	VPADDQ     Z24, w, w            \
	VPADDQ     Z27, w, w

#define ROUNDS16 \
	ROUND(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, 0x00)  \
	ROUND(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z9, 0x08)  \
	ROUND(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z10, 0x10) \
	ROUND(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z11, 0x18) \
	ROUND(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z12, 0x20) \
	ROUND(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z13, 0x28) \
	ROUND(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z14, 0x30) \
	ROUND(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z15, 0x38) \
	ROUND(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z16, 0x40) \
	ROUND(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z17, 0x48) \
	ROUND(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z18, 0x50) \
	ROUND(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z19, 0x58) \
	ROUND(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z20, 0x60) \
	ROUND(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z21, 0x68) \
	ROUND(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z22, 0x70) \
	ROUND(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z23, 0x78)

// Eight words of eight blocks, from off in each, into w0 to w7, each of which then
// holds one word of all.
#define LOAD(off, w0, w1, w2, w3, w4, w5, w6, w7) \
	VMOVDQU64   off(R8), Z24    \
	VMOVDQU64   off(R9), Z25    \
	VMOVDQU64   off(R10), Z26   \
	VMOVDQU64   off(R11), Z27   \
	VMOVDQU64   off(R12), Z28   \
	VMOVDQU64   off(R13), Z29   \
	VMOVDQU64   off(BX), Z30    \
	VMOVDQU64   off(R15), Z31   \
	VPUNPCKLQDQ Z25, Z24, w0    \
	VPUNPCKHQDQ Z25, Z24, w1    \
	VPUNPCKLQDQ Z27, Z26, w2    \
	VPUNPCKHQDQ Z27, Z26, w3    \
	VPUNPCKLQDQ Z29, Z28, w4    \
	VPUNPCKHQDQ Z29, Z28, w5    \
	VPUNPCKLQDQ Z31, Z30, w6    \
	VPUNPCKHQDQ Z31, Z30, w7    \
	VSHUFI64X2  $0x88, w2, w0, Z24 \
	VSHUFI64X2  $0xDD, w2, w0, Z25 \
	VSHUFI64X2  $0x88, w6, w4, Z26 \
	VSHUFI64X2  $0xDD, w6, w4, Z27 \
	VSHUFI64X2  $0x88, w3, w1, Z28 \
	VSHUFI64X2  $0xDD, w3, w1, Z29 \
	VSHUFI64X2  $0x88, w7, w5, Z30 \
	VSHUFI64X2  $0xDD, w7, w5, Z31 \
	VSHUFI64X2  $0x88, Z26, Z24, w0 \
	VSHUFI64X2  $0xDD, Z26, Z24, w4 \
	VSHUFI64X2  $0x88, Z27, Z25, w2 \
	VSHUFI64X2  $0xDD, Z27, Z25, w6 \
	VSHUFI64X2  $0x88, Z30, Z28, w1 \
	VSHUFI64X2  $0xDD, Z30, Z28, w5 \
	VSHUFI64X2  $0x88, Z31, Z29, w3 \
	VSHUFI64X2  $0xDD, Z31, Z29, w7 \
	VPSHUFB     swap<>(SB), w0, w0 \
	VPSHUFB     swap<>(SB), w1, w1 \
	VPSHUFB     swap<>(SB), w2, w2 \
	VPSHUFB     swap<>(SB), w3, w3 \
	VPSHUFB     swap<>(SB), w4, w4 \
	VPSHUFB     swap<>(SB), w5, w5 \
	VPSHUFB     swap<>(SB), w6, w6 \
	VPSHUFB     swap<>(SB), w7, w7

// func blocks(state *[8][8]uint64, at *[8]*byte, k *[80]uint64, n int)
TEXT ·blocks(SB), NOSPLIT, $0-32
	MOVQ state+0(FP), SI
	MOVQ at+8(FP), AX
	MOVQ n+24(FP), CX
	MOVQ 0(AX), R8
	MOVQ 8(AX), R9
	MOVQ 16(AX), R10
	MOVQ 24(AX), R11
	MOVQ 32(AX), R12
	MOVQ 40(AX), R13
	MOVQ 48(AX), BX
	MOVQ 56(AX), R15
	VMOVDQU64 0x000(SI), Z0
	VMOVDQU64 0x040(SI), Z1
	VMOVDQU64 0x080(SI), Z2
	VMOVDQU64 0x0C0(SI), Z3
	VMOVDQU64 0x100(SI), Z4
	VMOVDQU64 0x140(SI), Z5
	VMOVDQU64 0x180(SI), Z6
	VMOVDQU64 0x1C0(SI), Z7

block:
	TESTQ CX, CX
	JLE   done
	LOAD(0x00, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	LOAD(0x40, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	MOVQ  k+16(FP), DI
	ROUNDS16
	MOVQ  $4, DX

rounds:
	ADDQ $0x80, DI
	NEXT(Z8, Z9, Z17, Z22)
	NEXT(Z9, Z10, Z18, Z23)
	NEXT(Z10, Z11, Z19, Z8)
	NEXT(Z11, Z12, Z20, Z9)
	NEXT(Z12, Z13, Z21, Z10)
	NEXT(Z13, Z14, Z22, Z11)
	NEXT(Z14, Z15, Z23, Z12)
	NEXT(Z15, Z16, Z8, Z13)
	NEXT(Z16, Z17, Z9, Z14)
	NEXT(Z17, Z18, Z10, Z15)
	NEXT(Z18, Z19, Z11, Z16)
	NEXT(Z19, Z20, Z12, Z17)
	NEXT(Z20, Z21, Z13, Z18)
	NEXT(Z21, Z22, Z14, Z19)
	NEXT(Z22, Z23, Z15, Z20)
	NEXT(Z23, Z8, Z16, Z21)
	ROUNDS16
	DECQ DX
	JNZ  rounds

	VPADDQ 0x000(SI), Z0, Z0
	VPADDQ 0x040(SI), Z1, Z1
	VPADDQ 0x080(SI), Z2, Z2
	VPADDQ 0x0C0(SI), Z3, Z3
	VPADDQ 0x100(SI), Z4, Z4
	VPADDQ 0x140(SI), Z5, Z5
	VPADDQ 0x180(SI), Z6, Z6
	VPADDQ 0x1C0(SI), Z7, Z7
	VMOVDQU64 Z0, 0x000(SI)
	VMOVDQU64 Z1, 0x040(SI)
	VMOVDQU64 Z2, 0x080(SI)
	VMOVDQU64 Z3, 0x0C0(SI)
	VMOVDQU64 Z4, 0x100(SI)
	VMOVDQU64 Z5, 0x140(SI)
	VMOVDQU64 Z6, 0x180(SI)
	VMOVDQU64 Z7, 0x1C0(SI)
	ADDQ $0x80, R8
	ADDQ $0x80, R9
	ADDQ $0x80, R10
	ADDQ $0x80, R11
	ADDQ $0x80, R12
	ADDQ $0x80, R13
	ADDQ $0x80, BX
	ADDQ $0x80, R15
	DECQ CX
	JMP  block

done:
	VZEROUPPER
	RET

// func cpuid(leaf, sub uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL sub+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

// func xgetbv() uint32
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, ret+0(FP)
	RET
