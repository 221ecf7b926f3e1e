// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func readRunsAsm(lanes *uint64, at *uint32, n, lines int) (sum uint64)
// Asks for the run readAhead (16) ahead; at has so many more than n.
TEXT ·readRunsAsm(SB), NOSPLIT, $0-40
	MOVQ lanes+0(FP), SI
	MOVQ at+8(FP), DI
	MOVQ n+16(FP), CX
	XORL R8, R8

run:
	MOVL 64(DI), AX
	SHLQ $6, AX
	ADDQ SI, AX
	MOVQ lines+24(FP), DX

ask:
	PREFETCHT0 (AX)
	ADDQ       $64, AX
	DECQ       DX
	JNZ        ask
	MOVL       (DI), AX
	SHLQ       $6, AX
	ADDQ       SI, AX
	MOVQ       lines+24(FP), DX

read:
	ADDQ (AX), R8
	ADDQ $64, AX
	DECQ DX
	JNZ  read
	ADDQ $4, DI
	DECQ CX
	JNZ  run
	MOVQ R8, sum+32(FP)
	RET
