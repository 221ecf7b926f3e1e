// SPDX-License-Identifier: Apache-2.0

//go:build !race

#include "textflag.h"

// func storePostingAsm(lanes, ids *uint64, pos, lane, id uint32)
TEXT ·storePostingAsm(SB), NOSPLIT, $0-28
	MOVQ lanes+0(FP), SI
	MOVQ ids+8(FP), DI
	MOVL pos+16(FP), AX
	MOVL lane+20(FP), BX
	MOVL id+24(FP), CX
	MOVW BX, (SI)(AX*2)
	MOVL AX, DX
	ANDL $7, DX
	ANDL $-8, AX
	LEAQ (AX)(AX*2), AX // 24 bytes for every eight positions
	ADDQ DI, AX
	MOVW CX, (AX)(DX*2)
	SHRL $16, CX
	MOVB CX, 16(AX)(DX*1)
	RET

// func storeRowAsm(words *[4]uint64, r *row)
TEXT ·storeRowAsm(SB), NOSPLIT, $0-16
	MOVQ words+0(FP), DI
	MOVQ r+8(FP), SI
	MOVQ 0(SI), AX
	MOVQ 8(SI), BX
	MOVQ 16(SI), CX
	MOVQ 24(SI), DX
	MOVQ AX, 0(DI)
	MOVQ BX, 8(DI)
	MOVQ CX, 16(DI)
	MOVQ DX, 24(DI)
	RET
