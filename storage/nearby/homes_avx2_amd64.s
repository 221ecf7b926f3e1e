// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "scan_amd64.h"
#include "homes_amd64.h"

#define WANTED \
	VPXOR (R11)(AX*1), Y0, Y2;   \
	VPXOR 32(R11)(AX*1), Y0, Y3

#define DROP \
	VPADDW Y1, Y2, Y4; \
	VPADDW Y1, Y3, Y5; \
	VPAND Y4, Y2, Y2;  \
	VPAND Y5, Y3, Y3

#define NEAR \
	VPCMPEQW Y7, Y2, Y2;  \
	VPCMPEQW Y7, Y3, Y3;  \
	VPACKSSWB Y3, Y2, Y2; \
	VPMOVMSKB Y2, R13;    \
	TESTL R13, R13

// func scanHomesAVX2(lanes, ids *uint64, bands *homeBand, n int, last uint64, out *uint32) (found int)
TEXT ·scanHomesAVX2(SB), NOSPLIT, $0-56
	LOAD_HOMES
	MOVQ last+32(FP), R9
	VPCMPEQD Y1, Y1, Y1 // -1 in every lane
	VPXOR Y7, Y7, Y7

band:
	START_BAND
	VPBROADCASTW band_want(DI), Y0
	MOVQ R10, AX
	WANTED
	PREFETCHT0 (BX)(R14*1)
	DROP
	DROP
	DROP
	MOVL $64, DX
	NEAR
	JNZ  hit

near:
	CMPQ DX, R9
	JHI  next
	MOVQ R10, AX
	XORQ DX, AX
	WANTED
	AHEAD
	ADDQ DX, DX
	DROP
	DROP
	NEAR
	JZ   near

hit:
	VPERMQ $0xd8, Y2, Y2 // packing works within 128 bits
	VPMOVMSKB Y2, R13
	POSITION
	EMIT(emit)
	JMP near

next:
	ADDQ $band_size, DI
	DECQ CX
	JNZ  band
	RETURN_HOMES
