// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func fetchUnits(lanes, ids *uint64, live *uint8, units *[16]uint32)
TEXT ·fetchUnits(SB), NOSPLIT, $0-32
	MOVQ lanes+0(FP), SI
	MOVQ ids+8(FP), DI
	MOVQ live+16(FP), BX
	MOVQ units+24(FP), DX
	MOVQ $16, CX

unit:
	MOVL (DX), AX
	PREFETCHT0 (BX)(AX*1)
	SHLQ $5, AX
	PREFETCHT0 (SI)(AX*2)
	LEAQ (AX)(AX*2), AX
	PREFETCHT0 (DI)(AX*1)
	PREFETCHT0 88(DI)(AX*1)
	ADDQ $4, DX
	DECQ CX
	JNZ  unit
	RET
