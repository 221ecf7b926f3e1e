// SPDX-License-Identifier: Apache-2.0

// What both scan kernels share. Registers:
//
//	SI  lanes            DI  the current run      CX  runs left
//	R8  next output      R9  last output with room for another unit
//	R10 most             R11 lanes of the unit    R12 position of the unit
//	BX  units left in the run
//	R15 row numbers   R14 the run to ask for    R13 lanes that passed

// A run as kernel.go lays it out.
#define run_unit(r)  0(r)
#define run_units(r) 4(r)
#define run_want(r)  8(r)
#define run_most(r)  10(r)
#define run_size     16

// LOAD_ARGS sets the registers up. A unit gives at most 32 positions, so
// output stops 32 before the end.
#define LOAD_ARGS \
	MOVQ lanes+0(FP), SI;  \
	MOVQ ids+8(FP), R15;   \
	MOVQ runs+16(FP), DI;  \
	MOVQ n+24(FP), CX;     \
	MOVQ all+32(FP), AX;   \
	SHLQ $4, AX;           \
	ADDQ DI, AX;           \
	MOVQ AX, end-8(SP);    \
	MOVQ ask+40(FP), R14;  \
	SHLQ $4, R14;          \
	ADDQ DI, R14;          \
	MOVQ out+48(FP), R8;   \
	MOVQ room+56(FP), R9;  \
	SUBQ $32, R9;          \
	LEAQ (R8)(R9*4), R9

// START_RUN points R11, R12 and BX at the run's units.
#define START_RUN \
	MOVL run_unit(DI), R11;     \
	MOVL run_units(DI), BX;     \
	MOVWLZX run_most(DI), R10;  \
	MOVL R11, R12;              \
	SHLL $5, R12;               \
	SHLQ $6, R11;               \
	ADDQ SI, R11

// PREFETCH_AHEAD asks for the lines of the run at R14, up to eight of them: the
// processor itself follows a longer run. Nothing is known of runs from end on.
#define PREFETCH_AHEAD(loop, done) \
	CMPQ R14, end-8(SP);           \
	JHS  done;                     \
	MOVL run_unit(R14), AX;        \
	MOVL run_units(R14), DX;       \
	ADDQ $run_size, R14;           \
	SHLQ $6, AX;                   \
	ADDQ SI, AX;                   \
	TESTL DX, DX;                  \
	JZ   done;                     \
	CMPL DX, $8;                   \
	JLS  loop;                     \
	MOVL $8, DX;                   \
loop:                              \
	PREFETCHT0 (AX);               \
	ADDQ $64, AX;                  \
	DECL DX;                       \
	JNZ  loop;                     \
done:

// EMIT writes the positions of the lanes in R13, which is not zero, and asks
// for the words with their row numbers: 24 bytes for every 8 positions.
#define EMIT(loop) \
loop:                         \
	TZCNTL R13, AX;           \
	ADDL R12, AX;             \
	MOVL AX, (R8);            \
	ADDQ $4, R8;              \
	ANDL $-8, AX;             \
	LEAQ (AX)(AX*2), AX;      \
	PREFETCHT0 (R15)(AX*1);   \
	BLSRL R13, R13;           \
	JNZ  loop

// STOP remembers in the run where to go on, and returns.
#define STOP \
	SUBQ SI, R11;            \
	SHRQ $6, R11;            \
	MOVL R11, run_unit(DI);  \
	MOVL BX, run_units(DI)

// RETURN computes the results from CX and R8.
#define RETURN \
	MOVQ n+24(FP), AX;       \
	SUBQ CX, AX;             \
	MOVQ AX, done+64(FP);    \
	SUBQ out+48(FP), R8;     \
	SHRQ $2, R8;             \
	MOVQ R8, found+72(FP);   \
	VZEROUPPER;              \
	RET
