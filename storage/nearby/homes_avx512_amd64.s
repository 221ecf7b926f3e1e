// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "scan_amd64.h"
#include "homes_amd64.h"

#define DROP \
	VPADDW Z1, Z2, Z3; \
	VPANDQ Z3, Z2, Z2

#define NEAR \
	VPTESTNMW Z2, Z2, K1; \
	KMOVD K1, R13;        \
	TESTL R13, R13

// func scanHomesAVX512(lanes, ids *uint64, bands *homeBand, n int, last uint64, out *uint32) (found int)
TEXT ·scanHomesAVX512(SB), NOSPLIT, $0-56
	LOAD_HOMES
	MOVQ last+32(FP), R9
	VPTERNLOGD $0xff, Z1, Z1, Z1 // -1 in every lane

band:
	START_BAND
	VPBROADCASTW band_want(DI), Z0
	MOVQ   R10, AX
	VPXORQ (R11)(AX*1), Z0, Z2
	PREFETCHT0 (BX)(R14*1)
	DROP
	DROP
	DROP
	MOVL $64, DX
	NEAR
	JNZ  hit

near:
	CMPQ   DX, R9
	JHI    next
	MOVQ   R10, AX
	XORQ   DX, AX
	VPXORQ (R11)(AX*1), Z0, Z2
	AHEAD
	ADDQ   DX, DX
	DROP
	DROP
	NEAR
	JZ     near

hit:
	POSITION
	EMIT(emit)
	JMP near

next:
	ADDQ $band_size, DI
	DECQ CX
	JNZ  band
	RETURN_HOMES
