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

// func prefetchHeadersAsm(headers *uint32, at, size int)
// A line holds 16 headers, so the neighbours of the lowest four bits come with
// the header itself.
TEXT ·prefetchHeadersAsm(SB), NOSPLIT, $0-24
	MOVQ headers+0(FP), SI
	MOVQ at+8(FP), AX
	MOVQ size+16(FP), CX
	PREFETCHT0 (SI)(AX*4)
	MOVQ $16, DX

neighbour:
	CMPQ DX, CX
	JGE  out
	MOVQ AX, BX
	XORQ DX, BX
	PREFETCHT0 (SI)(BX*4)
	SHLQ $1, DX
	JMP  neighbour

out:
	RET
