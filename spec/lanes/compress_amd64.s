// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Sixteen messages at once, one in each 32-bit lane (FIPS 180-4 §6.2.2). a to h are
// Z0 to Z7 and change places from round to round; Z16 to Z31 are the last sixteen
// words of the message schedule.

// XOR of three and the two choices of the standard as truth tables of VPTERNLOGD.
#define XOR3 $0x96
#define CH $0xca
#define MAJ $0xe8

#define ROUND(a, b, c, d, e, f, g, h, w, at) \
	VPADDD.BCST at(R9), w, Z8   \
	VPADDD      Z8, h, h        \
	VPRORD      $6, e, Z9       \
	VPRORD      $11, e, Z10     \
	VPRORD      $25, e, Z11     \
	VPTERNLOGD  XOR3, Z11, Z10, Z9 \
	VPADDD      Z9, h, h        \
	VMOVDQA32   e, Z10          \
	VPTERNLOGD  CH, g, f, Z10   \
	VPADDD      Z10, h, h       \
	VPADDD      h, d, d         \
	VPRORD      $2, a, Z9       \
	VPRORD      $13, a, Z10     \
	VPRORD      $22, a, Z11     \
	VPTERNLOGD  XOR3, Z11, Z10, Z9 \
	VPADDD      Z9, h, h        \
	VMOVDQA32   a, Z10          \
	VPTERNLOGD  MAJ, c, b, Z10  \
	VPADDD      Z10, h, h

#define EIGHT(w0, w1, w2, w3, w4, w5, w6, w7, at) \
	ROUND(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, w0, (at+0))  \
	ROUND(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, w1, (at+4))  \
	ROUND(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, w2, (at+8))  \
	ROUND(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, w3, (at+12)) \
	ROUND(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, w4, (at+16)) \
	ROUND(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, w5, (at+20)) \
	ROUND(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, w6, (at+24)) \
	ROUND(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, w7, (at+28))

#define SCHEDULE(w0, w1, w9, w14) \
	VPRORD     $7, w1, Z8        \
	VPRORD     $18, w1, Z9       \
	VPSRLD     $3, w1, Z10       \
	VPTERNLOGD XOR3, Z10, Z9, Z8 \
	VPADDD     w9, w0, w0        \
	VPADDD     Z8, w0, w0        \
	VPRORD     $17, w14, Z8      \
	VPRORD     $19, w14, Z9      \
	VPSRLD     $10, w14, Z10     \
	VPTERNLOGD XOR3, Z10, Z9, Z8 \
	VPADDD     Z8, w0, w0

#define GATHER(at, w) \
	KXNORW     K1, K1, K1           \
	VPGATHERDD at(SI)(Z13*1), K1, w \
	VPSHUFB    Z12, w, w

#define CHAIN(at, z) \
	VPADDD    at(DI), z, z \
	VMOVDQU32 z, at(DI)

DATA swap<>+0(SB)/8, $0x0405060700010203
DATA swap<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swap<>(SB), RODATA|NOPTR, $16

// func compress(state *[8][16]uint32, data *byte, offsets *[16]uint32, blocks int, k *[64]uint32)
TEXT ·compress(SB), NOSPLIT, $0-40
	MOVQ state+0(FP), DI
	MOVQ data+8(FP), SI
	MOVQ offsets+16(FP), AX
	MOVQ blocks+24(FP), CX
	MOVQ k+32(FP), R8
	VMOVDQU32       (AX), Z13
	VBROADCASTI32X4 swap<>(SB), Z12
	VMOVDQU32 0(DI), Z0
	VMOVDQU32 64(DI), Z1
	VMOVDQU32 128(DI), Z2
	VMOVDQU32 192(DI), Z3
	VMOVDQU32 256(DI), Z4
	VMOVDQU32 320(DI), Z5
	VMOVDQU32 384(DI), Z6
	VMOVDQU32 448(DI), Z7

block:
	GATHER(0, Z16)
	GATHER(4, Z17)
	GATHER(8, Z18)
	GATHER(12, Z19)
	GATHER(16, Z20)
	GATHER(20, Z21)
	GATHER(24, Z22)
	GATHER(28, Z23)
	GATHER(32, Z24)
	GATHER(36, Z25)
	GATHER(40, Z26)
	GATHER(44, Z27)
	GATHER(48, Z28)
	GATHER(52, Z29)
	GATHER(56, Z30)
	GATHER(60, Z31)
	MOVQ R8, R9
	MOVQ $3, DX
	EIGHT(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, 0)
	EIGHT(Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31, 32)

rounds:
	ADDQ $64, R9
	SCHEDULE(Z16, Z17, Z25, Z30)
	SCHEDULE(Z17, Z18, Z26, Z31)
	SCHEDULE(Z18, Z19, Z27, Z16)
	SCHEDULE(Z19, Z20, Z28, Z17)
	SCHEDULE(Z20, Z21, Z29, Z18)
	SCHEDULE(Z21, Z22, Z30, Z19)
	SCHEDULE(Z22, Z23, Z31, Z20)
	SCHEDULE(Z23, Z24, Z16, Z21)
	EIGHT(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, 0)
	SCHEDULE(Z24, Z25, Z17, Z22)
	SCHEDULE(Z25, Z26, Z18, Z23)
	SCHEDULE(Z26, Z27, Z19, Z24)
	SCHEDULE(Z27, Z28, Z20, Z25)
	SCHEDULE(Z28, Z29, Z21, Z26)
	SCHEDULE(Z29, Z30, Z22, Z27)
	SCHEDULE(Z30, Z31, Z23, Z28)
	SCHEDULE(Z31, Z16, Z24, Z29)
	EIGHT(Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31, 32)
	DECQ DX
	JNZ  rounds

	CHAIN(0, Z0)
	CHAIN(64, Z1)
	CHAIN(128, Z2)
	CHAIN(192, Z3)
	CHAIN(256, Z4)
	CHAIN(320, Z5)
	CHAIN(384, Z6)
	CHAIN(448, Z7)
	ADDQ $64, SI
	DECQ CX
	JNZ  block
	VZEROUPPER
	RET
