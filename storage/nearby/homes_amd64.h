// SPDX-License-Identifier: Apache-2.0

// What both kernels that scan homes share. Registers:
//
//	SI  lanes            R15 row numbers          DI  the current band   CX  bands left
//	R11 its first home   R10 64 times its bucket  BX, R14 the same of the next band
//	R8  next output      DX  64 times the bit that a neighbour differs in
//	AX  the unit, from the band's first home      R12 its position
//	R13 lanes that passed

#define band_home(r) 0(r)
#define band_at(r)   4(r)
#define band_want(r) 8(r)
#define band_size    16

#define LOAD_HOMES \
	MOVQ lanes+0(FP), SI;  \
	MOVQ ids+8(FP), R15;   \
	MOVQ bands+16(FP), DI; \
	MOVQ n+24(FP), CX;     \
	MOVQ out+40(FP), R8

// START_BAND points at a band and the one behind it.
#define START_BAND \
	MOVL band_home(DI), R11;             \
	SHLQ $6, R11;                        \
	ADDQ SI, R11;                        \
	MOVL band_at(DI), R10;               \
	SHLQ $6, R10;                        \
	MOVL 16(DI), BX;  \
	SHLQ $6, BX;                         \
	ADDQ SI, BX;                         \
	MOVL 20(DI), R14;   \
	SHLQ $6, R14

// AHEAD asks for the next band's bucket that differs in the bit DX.
#define AHEAD \
	MOVQ R14, R12;           \
	XORQ DX, R12;            \
	PREFETCHT0 (BX)(R12*1)

#define POSITION \
	LEAQ (R11)(AX*1), R12; \
	SUBQ SI, R12;          \
	SHRQ $1, R12

#define RETURN_HOMES \
	SUBQ out+40(FP), R8;    \
	SHRQ $2, R8;            \
	MOVQ R8, found+48(FP);  \
	VZEROUPPER;             \
	RET
