package app

import (
	"errors"
	"syscall"
)

// ListenError explains why listening on addr failed; flag is the name of the flag that sets addr, without its dashes.
func ListenError(flag, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return usageError("%s is in use: stop what listens there, or choose another address with --%s", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return usageError("not allowed to listen on %s: choose a port from 1024 on with --%s", addr, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return usageError("%s is no address of this host: choose another with --%s", addr, flag)
	}
	return usageError("cannot listen on %s: %w", addr, err)
}
