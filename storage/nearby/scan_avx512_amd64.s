// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "scan_amd64.h"

// One unit is one register: 32 lanes. x&(x-1) clears the lowest set bit of a
// lane, so that a lane with at most n bits is zero after n times: cheaper for
// small n than counting, and plain AVX512BW.

#define DROP \
	VPADDW Z1, Z2, Z3; \
	VPANDQ Z3, Z2, Z2

// NEAR leaves in R13 the lanes that are zero in Z2, and sets the flags.
#define NEAR \
	VPTESTNMW Z2, Z2, K1; \
	KMOVD K1, R13;        \
	TESTL R13, R13

// func scanAVX512(lanes, ids *uint64, runs *run, n, all, ask int, out *uint32, room int) (done, found int)
TEXT ·scanAVX512(SB), NOSPLIT, $8-80
	LOAD_ARGS
	VPTERNLOGD $0xff, Z1, Z1, Z1 // -1 in every lane

run:
	TESTQ CX, CX
	JZ    finished
	START_RUN
	VPBROADCASTW run_want(DI), Z0
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
	VPXORQ (R11), Z0, Z2
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
	EMIT(anyEmit)

anyNext:
	ADDQ $64, R11
	ADDL $32, R12
	DECL BX
	JNZ  any
	JMP  nextRun

two:
	VPXORQ (R11), Z0, Z2
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
	EMIT(twoEmit)
	JMP  twoNext

three:
	VPXORQ (R11), Z0, Z2
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
	EMIT(threeEmit)
	JMP  threeNext

stop:
	STOP

finished:
	RETURN
