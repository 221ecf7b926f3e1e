// SPDX-License-Identifier: Apache-2.0

//go:build !race

#include "go_asm.h"
#include "textflag.h"

// The bits of a bucket's words that are compared: of first words all but keptBits.
DATA compared<>+0(SB)/8, $0xfffffffffffff001
DATA compared<>+8(SB)/8, $0xffffffffffffffff
DATA compared<>+16(SB)/8, $0xfffffffffffff001
DATA compared<>+24(SB)/8, $0xffffffffffffffff
GLOBL compared<>(SB), RODATA|NOPTR, $32

// func lookWide(t *Table, key *[32]byte) (said uint64)
//
// There is no jump before the answer: what follows the call can begin while the bucket
// is on its way from memory, and the shorter this is the more of it.
TEXT ·lookWide(SB), NOSPLIT, $0-24
	MOVQ t+0(FP), DI
	MOVQ key+8(FP), SI

	// As secret.fingerprint: lo in R8, hi in R9.
	MOVQ  16(SI), R10
	MOVQ  24(SI), R11
	MOVQ  (Table_secret+0)(DI), AX
	MOVQ  (Table_secret+8)(DI), DX
	XORQ  R10, AX
	XORQ  R11, DX
	MULQ  DX
	MOVQ  (SI), R8
	MOVQ  8(SI), R9
	XORQ  DX, R8
	XORQ  AX, R9
	RORQ  $32, R11
	MOVQ  (Table_secret+16)(DI), AX
	XORQ  (Table_secret+24)(DI), R11
	XORQ  R10, AX
	MULQ  R11
	XORQ  AX, R8
	XORQ  DX, R9
	XORQ  (Table_secret+40)(DI), R9
	MOVQ  R8, AX
	SHRQ  $32, AX
	XORQ  AX, R8
	IMULQ (Table_secret+32)(DI), R8
	MOVQ  R8, AX
	SHRQ  $32, AX
	XORQ  AX, R8

	// As place: the bucket's number in R10.
	MOVQ    Table_size(DI), BX
	LZCNTQ  BX, CX
	MOVQ    $-1, R10
	SHRXQ   CX, R10, R10
	MOVQ    R10, R11
	SHRQ    $1, R11
	ANDQ    R8, R10
	ANDQ    R8, R11
	CMPQ    R10, BX
	CMOVQCC R11, R10
	CMPQ    R10, (Table_buckets+store_first+8)(DI)
	JAE     elsewhere
	SHLQ    $6, R10
	ADDQ    (Table_buckets+store_first)(DI), R10

	// As bucket.look.
	ANDQ         $~const_metaBits, R8
	ORQ          $const_used, R8
	VMOVQ        R8, X0
	VPINSRQ      $1, R9, X0, X0
	VINSERTI128  $1, X0, Y0, Y0
	VMOVDQU      compared<>(SB), Y1
	VPAND        (R10), Y1, Y2
	VPAND        32(R10), Y1, Y3
	VPCMPEQQ     Y0, Y2, Y2
	VPCMPEQQ     Y0, Y3, Y3
	VMOVMSKPD    Y2, AX
	VMOVMSKPD    Y3, DX
	VZEROUPPER
	SHLQ         $4, DX
	ORQ          DX, AX
	MOVQ         AX, DX
	SHRQ         $1, DX
	ANDQ         $0x55, DX
	ANDQ         DX, AX // not 0: found

	// As bucket.passes: whether in R12.
	MOVQ R9, CX
	ANDQ $3, CX
	SHLQ $4, CX
	MOVQ (R10)(CX*1), R12
	SHRQ $2, R9
	ANDQ $3, R9
	ADDQ $const_sieveShift, R9
	SHRXQ R9, R12, R12

	// The size is read again after the bucket.
	XORQ  Table_size(DI), BX
	NEGQ  BX
	SBBQ  BX, BX // all ones if it changed
	ORQ   BX, R12
	ANDQ  $1, R12
	ADDQ  R12, R12 // lookFurther
	MOVQ  $const_lookFound, CX
	TESTQ AX, AX
	CMOVQNE CX, R12
	MOVQ  R12, said+16(FP)
	RET

elsewhere:
	MOVQ $const_lookFurther, said+16(FP)
	RET
