// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func prefetchRowsAsm(rows *uint64, ids *uint32, n int)
TEXT ·prefetchRowsAsm(SB), NOSPLIT, $0-24
	MOVQ rows+0(FP), SI
	MOVQ ids+8(FP), DI
	MOVQ n+16(FP), CX

next:
	MOVL (DI), AX
	SHLQ $5, AX
	PREFETCHT0 (SI)(AX*1)
	ADDQ $4, DI
	DECQ CX
	JNZ  next
	RET

// func prefetchLine(p unsafe.Pointer)
TEXT ·prefetchLine(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	PREFETCHT0 (AX)
	RET
