// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Both loops take no branch on what they read: whether a candidate is new, or
// near, cannot be predicted.

// func lookUpAsm(ids *uint64, positions *uint32, n int, slots *uint32, mark, top uint32, rows *uint64, out *uint32) (found int)
TEXT ·lookUpAsm(SB), NOSPLIT, $0-64
	MOVQ ids+0(FP), DI
	MOVQ positions+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ slots+24(FP), R8
	MOVL mark+32(FP), R9
	MOVL top+36(FP), R10
	MOVQ rows+40(FP), R12
	MOVQ out+48(FP), R11
	SHLL $24, R9

position:
	// The row number: 24 bytes for every eight positions.
	MOVL    (SI), AX
	MOVL    AX, DX
	ANDL    $7, DX
	ANDL    $-8, AX
	LEAQ    (AX)(AX*2), AX
	ADDQ    DI, AX
	MOVWLZX (AX)(DX*2), BX
	MOVBLZX 16(AX)(DX*1), AX
	SHLL    $16, AX
	ORL     BX, AX

	MOVL       AX, DX
	SHLQ       $5, DX
	PREFETCHT0 (R12)(DX*1)

	// R13: it is one, and not remembered.
	XORL    R13, R13
	CMPL    AX, R10
	SETCS   R13
	CMPL    BX, $0xffff
	SETNE   BX
	ANDL    BX, R13
	IMUL3L  $-1640531535, AX, DX
	SHRL    $20, DX
	MOVL    AX, R15
	ORL     R9, R15
	CMPL    R15, (R8)(DX*4)
	SETNE   BX
	ANDL    BX, R13
	MOVL    R15, (R8)(DX*4)

	MOVL AX, (R11)
	LEAQ (R11)(R13*4), R11
	ADDQ $4, SI
	DECQ CX
	JNZ  position

	SUBQ out+48(FP), R11
	SHRQ $2, R11
	MOVQ R11, found+56(FP)
	RET

// func nearRowsAsm(rows *uint64, ids *uint32, n int, q *row, radius int) (found int)
TEXT ·nearRowsAsm(SB), NOSPLIT, $0-48
	MOVQ rows+0(FP), DI
	MOVQ ids+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ q+24(FP), DX
	MOVQ 0(DX), R8
	MOVQ 8(DX), R9
	MOVQ 16(DX), R10
	MOVQ 24(DX), R11
	MOVQ SI, R12

candidate:
	MOVL    (SI), AX
	MOVL    AX, DX
	SHLQ    $5, DX
	MOVQ    0(DI)(DX*1), BX
	XORQ    R8, BX
	POPCNTQ BX, BX
	MOVQ    8(DI)(DX*1), R13
	XORQ    R9, R13
	POPCNTQ R13, R13
	ADDQ    R13, BX
	MOVQ    16(DI)(DX*1), R13
	XORQ    R10, R13
	POPCNTQ R13, R13
	ADDQ    R13, BX
	MOVQ    24(DI)(DX*1), R13
	XORQ    R11, R13
	POPCNTQ R13, R13
	ADDQ    R13, BX
	MOVL    AX, (R12)
	XORL    R13, R13
	CMPQ    BX, radius+32(FP)
	SETLS   R13
	LEAQ    (R12)(R13*4), R12
	ADDQ    $4, SI
	DECQ    CX
	JNZ     candidate

	SUBQ ids+8(FP), R12
	SHRQ $2, R12
	MOVQ R12, found+40(FP)
	RET
