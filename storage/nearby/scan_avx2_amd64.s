// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "scan_amd64.h"

// One unit is two registers of 16 lanes, Y2 and Y3.

#define WANTED \
	VPXOR (R11), Y0, Y2;   \
	VPXOR 32(R11), Y0, Y3

// DROP clears the lowest set bit of every lane.
#define DROP \
	VPADDW Y1, Y2, Y4; \
	VPADDW Y1, Y3, Y5; \
	VPAND Y4, Y2, Y2;  \
	VPAND Y5, Y3, Y3

// NEAR leaves in R13 one bit for every lane that is zero in Y2 or Y3, and sets
// the flags. Packing works within 128 bits, so the bits are in order only
// after ORDER.
#define NEAR \
	VPCMPEQW Y7, Y2, Y2;  \
	VPCMPEQW Y7, Y3, Y3;  \
	VPACKSSWB Y3, Y2, Y2; \
	VPMOVMSKB Y2, R13;    \
	TESTL R13, R13

#define ORDER \
	VPERMQ $0xd8, Y2, Y2; \
	VPMOVMSKB Y2, R13

// func scanAVX2(lanes, ids *uint64, runs *run, n, all, ask int, out *uint32, room int) (done, found int)
TEXT ·scanAVX2(SB), NOSPLIT, $8-80
	LOAD_ARGS
	VPCMPEQD Y1, Y1, Y1 // -1 in every lane
	VPXOR Y7, Y7, Y7

run:
	TESTQ CX, CX
	JZ    finished
	START_RUN
	VPBROADCASTW run_want(DI), Y0
	PREFETCH_AHEAD(ahead, fetched)
	TESTL BX, BX
	JZ    nextRun
	CMPL  R10, $2
	JE    two
	CMPL  R10, $3
	JE    three

any:
	CMPQ   R8, R9
	JHI    stop
	WANTED
	MOVL   R10, DX
	TESTL  DX, DX
	JZ     anyDropped

anyDrop:
	DROP
	DECL DX
	JNZ  anyDrop

anyDropped:
	NEAR
	JZ anyNext
	ORDER
	EMIT(anyEmit)

anyNext:
	ADDQ $64, R11
	ADDL $32, R12
	DECL BX
	JNZ  any
	JMP  nextRun

two:
	WANTED
	DROP
	DROP
	NEAR
	JNZ twoHit

twoNext:
	ADDQ $64, R11
	ADDL $32, R12
	DECL BX
	JNZ  two
	JMP  nextRun

twoHit:
	CMPQ R8, R9
	JHI  stop
	ORDER
	EMIT(twoEmit)
	JMP  twoNext

three:
	WANTED
	DROP
	DROP
	DROP
	NEAR
	JNZ threeHit

threeNext:
	ADDQ $64, R11
	ADDL $32, R12
	DECL BX
	JNZ  three

nextRun:
	ADDQ $run_size, DI
	DECQ CX
	JMP  run

threeHit:
	CMPQ R8, R9
	JHI  stop
	ORDER
	EMIT(threeEmit)
	JMP  threeNext

stop:
	STOP

finished:
	RETURN
