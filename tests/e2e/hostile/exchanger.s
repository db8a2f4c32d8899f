# Exchanges two names for ever: renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE).
#   as -o exchanger.o exchanger.s && objcopy -O binary -j .text exchanger.o exchanger.bin && xxd -p -c 40 exchanger.bin exchanger.hex
	.intel_syntax noprefix
	mov	r12, [rsp+16]
	mov	r13, [rsp+24]
again:	mov	edi, -100
	mov	rsi, r12
	mov	edx, -100
	mov	r10, r13
	mov	r8d, 2
	mov	eax, 316
	syscall
	jmp	again
