package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// The requests of TestVanishedHost to the kernel's network.

// mac is the address below an interface's.
func mac(ip net.IP) []byte { return append([]byte{2, 0}, ip...) }

// settle raises an end of the cable. The other end's MAC is set, since asking for it would show that the host is gone.
func settle(cable int32, here, there net.IP) error {
	return errors.Join(
		netlink(unix.RTM_NEWLINK, 0, link(cable, unix.IFF_UP)),
		netlink(unix.RTM_NEWADDR, unix.NLM_F_CREATE,
			raw(unix.IfAddrmsg{Family: unix.AF_INET, Prefixlen: 30, Index: uint32(cable)}),
			attribute(unix.IFA_LOCAL, here), attribute(unix.IFA_ADDRESS, here)),
		netlink(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE,
			raw(unix.NdMsg{Family: unix.AF_INET, Ifindex: cable, State: unix.NUD_PERMANENT}),
			attribute(unix.NDA_DST, there), attribute(unix.NDA_LLADDR, mac(there))))
}

func link(index int32, up uint32) []byte {
	return raw(unix.IfInfomsg{Index: index, Flags: up, Change: unix.IFF_UP})
}

// netlink asks the kernel to change the calling thread's network.
func netlink(kind, flags uint16, parts ...[]byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	payload := slices.Concat(parts...)
	head := unix.NlMsghdr{Len: uint32(unix.SizeofNlMsghdr + len(payload)), Type: kind, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK | flags}
	err = unix.Sendto(fd, append(raw(head), payload...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	answer := make([]byte, os.Getpagesize())
	if err == nil {
		_, _, err = unix.Recvfrom(fd, answer, 0)
	}
	if err != nil {
		return os.NewSyscallError("netlink", err)
	}
	if no := -int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); no != 0 {
		return fmt.Errorf("netlink request %d: %w", kind, syscall.Errno(no))
	}
	return nil
}

// attribute is a netlink attribute, whose parts may be attributes again.
func attribute(kind uint16, parts ...[]byte) []byte {
	payload := slices.Concat(parts...)
	length := unix.SizeofRtAttr + len(payload)
	padding := make([]byte, -length&(unix.NLA_ALIGNTO-1))
	return slices.Concat(raw(unix.RtAttr{Len: uint16(length), Type: kind}), payload, padding)
}

// raw is a structure of the kernel as it is in memory.
func raw(v any) []byte {
	b, _ := binary.Append(nil, binary.NativeEndian, v) // fails only on values without a fixed size
	return b
}
