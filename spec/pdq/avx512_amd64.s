// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Two rows of pairs, interleaved: the low and the high half of every 128 bits.
#define PAIR(a, b, lo, hi) \
	VUNPCKLPS b, a, lo; \
	VUNPCKHPS b, a, hi

#define PAIR2(a, b, lo, hi) \
	VUNPCKLPD b, a, lo; \
	VUNPCKHPD b, a, hi

// The even and the odd 128-bit parts of a, then those of b.
#define PARTS(a, b, even, odd) \
	VSHUFF32X4 $0x88, b, a, even; \
	VSHUFF32X4 $0xdd, b, a, odd

// Four rows from SI on, R8 apart (R9 is three times that).
#define LOAD4(a, b, c, d) \
	VMOVUPS (SI), a; \
	VMOVUPS (SI)(R8*1), b; \
	VMOVUPS (SI)(R8*2), c; \
	VMOVUPS (SI)(R9*1), d; \
	LEAQ (SI)(R8*4), SI

#define STORE4(a, b, c, d) \
	VMOVUPS a, (DI); \
	VMOVUPS b, (DI)(R10*1); \
	VMOVUPS c, (DI)(R10*2); \
	VMOVUPS d, (DI)(R11*1); \
	LEAQ (DI)(R10*4), DI

// func turn512(dst, src *float32, dstStride, srcStride, dstStep, srcStep, blocks int)
TEXT ·turn512(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), AX
	MOVQ src+8(FP), BX
	MOVQ dstStride+16(FP), R10
	MOVQ srcStride+24(FP), R8
	MOVQ dstStep+32(FP), R12
	MOVQ srcStep+40(FP), R13
	MOVQ blocks+48(FP), CX
	LEAQ (R8)(R8*2), R9
	LEAQ (R10)(R10*2), R11
block:
	MOVQ BX, SI
	MOVQ AX, DI
	LOAD4(Z0, Z1, Z2, Z3)
	LOAD4(Z4, Z5, Z6, Z7)
	LOAD4(Z8, Z9, Z10, Z11)
	LOAD4(Z12, Z13, Z14, Z15)
	PAIR(Z0, Z1, Z16, Z17)
	PAIR(Z2, Z3, Z18, Z19)
	PAIR(Z4, Z5, Z20, Z21)
	PAIR(Z6, Z7, Z22, Z23)
	PAIR(Z8, Z9, Z24, Z25)
	PAIR(Z10, Z11, Z26, Z27)
	PAIR(Z12, Z13, Z28, Z29)
	PAIR(Z14, Z15, Z30, Z31)
	PAIR2(Z16, Z18, Z0, Z1)
	PAIR2(Z17, Z19, Z2, Z3)
	PAIR2(Z20, Z22, Z4, Z5)
	PAIR2(Z21, Z23, Z6, Z7)
	PAIR2(Z24, Z26, Z8, Z9)
	PAIR2(Z25, Z27, Z10, Z11)
	PAIR2(Z28, Z30, Z12, Z13)
	PAIR2(Z29, Z31, Z14, Z15)
	PARTS(Z0, Z4, Z16, Z20)
	PARTS(Z1, Z5, Z17, Z21)
	PARTS(Z2, Z6, Z18, Z22)
	PARTS(Z3, Z7, Z19, Z23)
	PARTS(Z8, Z12, Z24, Z28)
	PARTS(Z9, Z13, Z25, Z29)
	PARTS(Z10, Z14, Z26, Z30)
	PARTS(Z11, Z15, Z27, Z31)
	PARTS(Z16, Z24, Z0, Z8)
	PARTS(Z17, Z25, Z1, Z9)
	PARTS(Z18, Z26, Z2, Z10)
	PARTS(Z19, Z27, Z3, Z11)
	PARTS(Z20, Z28, Z4, Z12)
	PARTS(Z21, Z29, Z5, Z13)
	PARTS(Z22, Z30, Z6, Z14)
	PARTS(Z23, Z31, Z7, Z15)
	STORE4(Z0, Z1, Z2, Z3)
	STORE4(Z4, Z5, Z6, Z7)
	STORE4(Z8, Z9, Z10, Z11)
	STORE4(Z12, Z13, Z14, Z15)
	ADDQ R12, AX
	ADDQ R13, BX
	DECQ CX
	JNZ  block
	VZEROUPPER
	RET

// func run32x512(dst, in, out, sum *float32, dstStride, stride, steps int, c, inv float32)
TEXT ·run32x512(SB), NOSPLIT, $0-64
	MOVQ dst+0(FP), DI
	MOVQ in+8(FP), SI
	MOVQ out+16(FP), DX
	MOVQ sum+24(FP), BX
	MOVQ dstStride+32(FP), R8
	MOVQ stride+40(FP), R9
	MOVQ steps+48(FP), CX
	VBROADCASTSS c+56(FP), Z30
	VBROADCASTSS inv+60(FP), Z31
	VMOVUPS (BX), Z0
	VMOVUPS 64(BX), Z1
	CMPL inv+60(FP), $0
	JEQ  divided
multiplied:
	VADDPS (SI), Z0, Z0
	VADDPS 64(SI), Z1, Z1
	VSUBPS (DX), Z0, Z0
	VSUBPS 64(DX), Z1, Z1
	VMULPS Z31, Z0, Z2
	VMULPS Z31, Z1, Z3
	VMOVUPS Z2, (DI)
	VMOVUPS Z3, 64(DI)
	ADDQ R9, SI
	ADDQ R9, DX
	ADDQ R8, DI
	DECQ CX
	JNZ  multiplied
	JMP  done
divided:
	VADDPS (SI), Z0, Z0
	VADDPS 64(SI), Z1, Z1
	VSUBPS (DX), Z0, Z0
	VSUBPS 64(DX), Z1, Z1
	VDIVPS Z30, Z0, Z2
	VDIVPS Z30, Z1, Z3
	VMOVUPS Z2, (DI)
	VMOVUPS Z3, 64(DI)
	ADDQ R9, SI
	ADDQ R9, DX
	ADDQ R8, DI
	DECQ CX
	JNZ  divided
done:
	VMOVUPS Z0, (BX)
	VMOVUPS Z1, 64(BX)
	VZEROUPPER
	RET

// func run64x512(dst, in, out, sum *float32, dstStride, stride, steps int, c, inv float32)
TEXT ·run64x512(SB), NOSPLIT, $0-64
	MOVQ dst+0(FP), DI
	MOVQ in+8(FP), SI
	MOVQ out+16(FP), DX
	MOVQ sum+24(FP), BX
	MOVQ dstStride+32(FP), R8
	MOVQ stride+40(FP), R9
	MOVQ steps+48(FP), CX
	VBROADCASTSS c+56(FP), Z30
	VBROADCASTSS inv+60(FP), Z31
	VMOVUPS (BX), Z0
	VMOVUPS 64(BX), Z1
	VMOVUPS 128(BX), Z2
	VMOVUPS 192(BX), Z3
	CMPL inv+60(FP), $0
	JEQ  divided
multiplied:
	VADDPS (SI), Z0, Z0
	VADDPS 64(SI), Z1, Z1
	VADDPS 128(SI), Z2, Z2
	VADDPS 192(SI), Z3, Z3
	VSUBPS (DX), Z0, Z0
	VSUBPS 64(DX), Z1, Z1
	VSUBPS 128(DX), Z2, Z2
	VSUBPS 192(DX), Z3, Z3
	VMULPS Z31, Z0, Z4
	VMULPS Z31, Z1, Z5
	VMULPS Z31, Z2, Z6
	VMULPS Z31, Z3, Z7
	VMOVUPS Z4, (DI)
	VMOVUPS Z5, 64(DI)
	VMOVUPS Z6, 128(DI)
	VMOVUPS Z7, 192(DI)
	ADDQ R9, SI
	ADDQ R9, DX
	ADDQ R8, DI
	DECQ CX
	JNZ  multiplied
	JMP  done
divided:
	VADDPS (SI), Z0, Z0
	VADDPS 64(SI), Z1, Z1
	VADDPS 128(SI), Z2, Z2
	VADDPS 192(SI), Z3, Z3
	VSUBPS (DX), Z0, Z0
	VSUBPS 64(DX), Z1, Z1
	VSUBPS 128(DX), Z2, Z2
	VSUBPS 192(DX), Z3, Z3
	VDIVPS Z30, Z0, Z4
	VDIVPS Z30, Z1, Z5
	VDIVPS Z30, Z2, Z6
	VDIVPS Z30, Z3, Z7
	VMOVUPS Z4, (DI)
	VMOVUPS Z5, 64(DI)
	VMOVUPS Z6, 128(DI)
	VMOVUPS Z7, 192(DI)
	ADDQ R9, SI
	ADDQ R9, DX
	ADDQ R8, DI
	DECQ CX
	JNZ  divided
done:
	VMOVUPS Z0, (BX)
	VMOVUPS Z1, 64(BX)
	VMOVUPS Z2, 128(BX)
	VMOVUPS Z3, 192(BX)
	VZEROUPPER
	RET

DATA percent<>+0(SB)/4, $0x42c80000 // 100
DATA percent<>+4(SB)/4, $0x437f0000 // 255
GLOBL percent<>(SB), RODATA|NOPTR, $8

// func gradientSums512(sums *[16]int32, a, b *float32, n int)
TEXT ·gradientSums512(SB), NOSPLIT, $0-32
	MOVQ sums+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS percent<>+0(SB), Z30
	VBROADCASTSS percent<>+4(SB), Z31
	VPXORD Z1, Z1, Z1
	XORQ AX, AX
next:
	VMOVUPS (SI)(AX*4), Z0
	VSUBPS (DX)(AX*4), Z0, Z0
	VMULPS Z30, Z0, Z0
	VDIVPS Z31, Z0, Z0
	VCVTTPS2DQ Z0, Z0
	VPABSD Z0, Z0
	VPADDD Z0, Z1, Z1
	ADDQ $16, AX
	CMPQ AX, CX
	JLT  next
	VMOVDQU32 Z1, (DI)
	VZEROUPPER
	RET

// func dct512(out *[16][16]float32, half, basis *[16][64]float32, turned *[64][16]float32, a *[4096]float32)
TEXT ·dct512(SB), NOSPLIT, $0-40
	MOVQ half+8(FP), DI
	MOVQ basis+16(FP), SI
	MOVQ $16, R8
left: // one row of half: 64 sums in four registers
	MOVQ a+32(FP), DX
	MOVQ $64, CX
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
leftTerm:
	VBROADCASTSS (SI), Z31
	VMULPS (DX), Z31, Z4
	VMULPS 64(DX), Z31, Z5
	VMULPS 128(DX), Z31, Z6
	VMULPS 192(DX), Z31, Z7
	VADDPS Z4, Z0, Z0
	VADDPS Z5, Z1, Z1
	VADDPS Z6, Z2, Z2
	VADDPS Z7, Z3, Z3
	ADDQ $4, SI
	ADDQ $256, DX
	DECQ CX
	JNZ  leftTerm
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VMOVUPS Z2, 128(DI)
	VMOVUPS Z3, 192(DI)
	ADDQ $256, DI
	DECQ R8
	JNZ  left

	MOVQ out+0(FP), DI
	MOVQ half+8(FP), SI
	MOVQ $4, R8
right: // four rows of out at a time
	MOVQ turned+24(FP), DX
	MOVQ $64, CX
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
rightTerm:
	VMOVUPS (DX), Z31
	VMULPS.BCST (SI), Z31, Z4
	VMULPS.BCST 256(SI), Z31, Z5
	VMULPS.BCST 512(SI), Z31, Z6
	VMULPS.BCST 768(SI), Z31, Z7
	VADDPS Z4, Z0, Z0
	VADDPS Z5, Z1, Z1
	VADDPS Z6, Z2, Z2
	VADDPS Z7, Z3, Z3
	ADDQ $4, SI
	ADDQ $64, DX
	DECQ CX
	JNZ  rightTerm
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VMOVUPS Z2, 128(DI)
	VMOVUPS Z3, 192(DI)
	ADDQ $256, DI
	ADDQ $768, SI
	DECQ R8
	JNZ  right
	VZEROUPPER
	RET

DATA weights<>+0(SB)/4, $0x3e991687  // 0.299
DATA weights<>+4(SB)/4, $0x3f1645a2  // 0.587
DATA weights<>+8(SB)/4, $0x3de978d5  // 0.114
GLOBL weights<>(SB), RODATA|NOPTR, $12

#define WEIGHTS \
	VBROADCASTSS weights<>+0(SB), Z28; \
	VBROADCASTSS weights<>+4(SB), Z29; \
	VBROADCASTSS weights<>+8(SB), Z30

// The luminance of the 16 pixels in Z0, whose bytes the masks in Z24 to Z26
// spread over double words, to 16 values at DI.
#define LUMA \
	VPSHUFB Z25, Z0, Z1; \
	VPSHUFB Z26, Z0, Z2; \
	VPSHUFB Z24, Z0, Z0; \
	VCVTDQ2PS Z0, Z0; \
	VCVTDQ2PS Z1, Z1; \
	VCVTDQ2PS Z2, Z2; \
	VMULPS Z28, Z0, Z0; \
	VMULPS Z29, Z1, Z1; \
	VMULPS Z30, Z2, Z2; \
	VADDPS Z1, Z0, Z0; \
	VADDPS Z2, Z0, Z0; \
	VMOVUPS Z0, (DI); \
	ADDQ $64, DI

// Places of the red bytes of four pixels of four and of three bytes; green and
// blue follow by adding 1 and 2.
DATA red4<>+0(SB)/8, $0x8080800480808000
DATA red4<>+8(SB)/8, $0x8080800c80808008
GLOBL red4<>(SB), RODATA|NOPTR, $16
DATA red3<>+0(SB)/8, $0x8080800380808000
DATA red3<>+8(SB)/8, $0x8080800980808006
GLOBL red3<>(SB), RODATA|NOPTR, $16
DATA next<>+0(SB)/4, $1
GLOBL next<>(SB), RODATA|NOPTR, $4

#define MASKS(red) \
	VBROADCASTI32X4 red<>+0(SB), Z24; \
	VPBROADCASTD next<>+0(SB), Z0; \
	VPADDD Z0, Z24, Z25; \
	VPADDD Z0, Z25, Z26

// Twelve bytes of pixels to each 128 bits.
DATA spread<>+0(SB)/8, $0x0000000100000000
DATA spread<>+8(SB)/8, $0x0000000300000002
DATA spread<>+16(SB)/8, $0x0000000400000003
DATA spread<>+24(SB)/8, $0x0000000600000005
DATA spread<>+32(SB)/8, $0x0000000700000006
DATA spread<>+40(SB)/8, $0x0000000900000008
DATA spread<>+48(SB)/8, $0x0000000a00000009
DATA spread<>+56(SB)/8, $0x0000000c0000000b
GLOBL spread<>(SB), RODATA|NOPTR, $64

// func lumaRGBA512(dst *float32, pix *byte, blocks int)
TEXT ·lumaRGBA512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ pix+8(FP), SI
	MOVQ blocks+16(FP), CX
	WEIGHTS
	MASKS(red4)
next:
	VMOVDQU32 (SI), Z0
	LUMA
	ADDQ $64, SI
	DECQ CX
	JNZ  next
	VZEROUPPER
	RET

// func lumaRGB512(dst *float32, pix *byte, blocks int)
TEXT ·lumaRGB512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ pix+8(FP), SI
	MOVQ blocks+16(FP), CX
	WEIGHTS
	MASKS(red3)
	VMOVDQU32 spread<>+0(SB), Z27
next:
	VPERMD (SI), Z27, Z0
	LUMA
	ADDQ $48, SI
	DECQ CX
	JNZ  next
	VZEROUPPER
	RET
