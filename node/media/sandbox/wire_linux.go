// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package sandbox

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// send writes a message: its length in four bytes, then the bytes. The file's
// descriptor travels with the length.
func send(conn *net.UnixConn, msg []byte, file *os.File) error {
	var oob []byte
	if file != nil {
		oob = unix.UnixRights(int(file.Fd()))
	}
	if len(msg) > maxMessage {
		return errors.New("the message is too long")
	}
	if _, _, err := conn.WriteMsgUnix(binary.BigEndian.AppendUint32(nil, uint32(len(msg))), oob, nil); err != nil {
		return err
	}
	_, err := conn.Write(msg)
	return err
}

// receive reads a message without a file.
func receive(conn *net.UnixConn) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(conn, n[:]); err != nil {
		return nil, err
	}
	return body(conn, n)
}

// receiveFile reads a message and the file that came with it.
func receiveFile(conn *net.UnixConn) ([]byte, *os.File, error) {
	var n [4]byte
	oob := make([]byte, unix.CmsgSpace(4))
	got, m, _, _, err := conn.ReadMsgUnix(n[:], oob)
	if err != nil {
		return nil, nil, err
	}
	if got != len(n) {
		return nil, nil, io.ErrUnexpectedEOF
	}
	file, err := passed(oob[:m])
	if err != nil {
		return nil, nil, err
	}
	msg, err := body(conn, n)
	return msg, file, err
}

func passed(oob []byte) (*os.File, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) != 1 {
		return nil, errors.New("a request comes with one file")
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("a request comes with one file")
	}
	return os.NewFile(uintptr(fds[0]), "media"), nil
}

func body(conn *net.UnixConn, n [4]byte) ([]byte, error) {
	size := binary.BigEndian.Uint32(n[:])
	if size > maxMessage {
		return nil, errors.New("the message is too long")
	}
	msg, err := io.ReadAll(io.LimitReader(conn, int64(size)))
	if err == nil && len(msg) != int(size) {
		err = io.ErrUnexpectedEOF
	}
	return msg, err
}
