package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/rueidis"
)

// Trouble is why the store cannot be used, in words without an address, a user or a password.
type Trouble string

// Troubles.
const (
	none        Trouble = ""
	unreachable Trouble = "it cannot be reached"
	refused     Trouble = "it refuses connections"
	noAnswer    Trouble = "it does not answer in time"
	closed      Trouble = "it has closed the connection"
	insecure    Trouble = "its certificate is not accepted, or it accepts no TLS"
	wrongUser   Trouble = "it does not accept the user or the password"
	forbidden   Trouble = "the user may not use the store: its ACL must allow the commands, the keys and the channel"
	readOnly    Trouble = "it is read-only: it is a replica, or has too few replicas"
	isFull      Trouble = "its memory is full: maxmemory is reached"
	wrongType   Trouble = "the key of the stream holds something else: choose another session.store.prefix"
	loading     Trouble = "it is loading its data"
	noMaster    Trouble = "the sentinels or the cluster name no server"
	tooOld      Trouble = "it is too old: Redis 6.2 or Valkey is needed"
	failed      Trouble = "it answers with an error"
	stuck       Trouble = "nothing comes back from the stream"
	otherSecret Trouble = "other tethers use the stream under another session secret: all need the same session.secret_file"
)

// ofServer are the troubles by the beginning of the server's error.
var ofServer = []struct {
	prefix string
	is     Trouble
}{
	{"WRONGPASS", wrongUser},
	{"NOAUTH", wrongUser},
	{"ERR invalid password", wrongUser},
	{"ERR AUTH", wrongUser},
	{"NOPERM", forbidden},
	{"READONLY", readOnly},
	{"NOREPLICAS", readOnly},
	{"MASTERDOWN", readOnly},
	{"MISCONF", readOnly},
	{"OOM", isFull},
	{"WRONGTYPE", wrongType},
	{"LOADING", loading},
	{"BUSY", noAnswer},
	{"CLUSTERDOWN", noMaster},
	{"ERR unknown command", tooOld},
	{"ERR syntax error", tooOld},
	{"ERR No such master", noMaster},
}

// troubleOf says what an error means.
func troubleOf(err error) Trouble {
	if err == nil {
		return none
	}
	if server, is := rueidis.IsRedisErr(err); is && !server.IsNil() {
		for _, t := range ofServer {
			if strings.HasPrefix(server.Error(), t.prefix) {
				return t.is
			}
		}
		return failed
	}
	return troubleOfNetwork(err)
}

func troubleOfNetwork(err error) Trouble {
	var timeout net.Error
	var name *net.DNSError
	switch {
	case errors.Is(err, context.Canceled): // another trouble has ended the connection
		return none
	case isInsecure(err):
		return insecure
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return noAnswer
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.As(err, &name), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return unreachable
	case errors.Is(err, rueidis.ErrNoAddr):
		return noMaster
	case strings.Contains(err.Error(), "role is not"): // a demoted server, while sentinels still name it
		return noMaster
	}
	return closed
}

func isInsecure(err error) bool {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert)
}
