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

// func prefetchHomesAsm(home *uint64, at uint32, last uint64)
TEXT ·prefetchHomesAsm(SB), NOSPLIT, $0-24
	MOVQ home+0(FP), SI
	MOVL at+8(FP), AX
	MOVQ last+16(FP), CX
	SHLQ $6, AX
	PREFETCHT0 (SI)(AX*1)
	MOVQ $64, DX

home:
	CMPQ DX, CX
	JHI  homes
	MOVQ AX, BX
	XORQ DX, BX
	PREFETCHT0 (SI)(BX*1)
	SHLQ $1, DX
	JMP  home

homes:
	RET
