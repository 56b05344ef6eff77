package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	dnslib "github.com/miekg/dns"
)

// resolver is the DNS servers to ask.
type resolver struct {
	servers []string // HOST:PORT, asked in turn
	system  *dnslib.ClientConfig
}

const (
	systemConfig = "/etc/resolv.conf"
	maxServers   = 3 // as in the system's resolver
	attempts     = 2 // at each server
	udpSize      = 1232
)

// queryTimeout limits one exchange with one server.
const queryTimeout = 2 * time.Second

// newResolver returns the resolver at address, or that of the system if address is "".
func newResolver(address, systemConfig string) (*resolver, error) {
	if address != "" {
		return &resolver{servers: []string{address}}, nil
	}
	system, err := dnslib.ClientConfigFromFile(systemConfig)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", systemConfig, err)
	}
	if len(system.Servers) == 0 {
		return nil, fmt.Errorf("%s names no DNS server", systemConfig)
	}
	r := &resolver{system: system}
	for _, host := range system.Servers[:min(len(system.Servers), maxServers)] {
		r.servers = append(r.servers, net.JoinHostPort(host, system.Port))
	}
	return r, nil
}

// candidates are the full names that name may stand for, in the order in which they are asked.
func (r *resolver) candidates(name string) []string {
	if r.system == nil {
		return []string{dnslib.Fqdn(name)}
	}
	return r.system.NameList(name)
}

// query asks for the records of a full name. The answer is complete, and its code is success or NXDOMAIN.
func (r *resolver) query(ctx context.Context, name string, kind uint16) (answer *dnslib.Msg, err error) {
	for range attempts {
		for _, server := range r.servers {
			if answer, err = ask(ctx, server, name, kind); err == nil || ctx.Err() != nil {
				return answer, err
			}
		}
	}
	return nil, err
}

// ask has one exchange with one server, over TCP if the answer is too large for UDP.
func ask(ctx context.Context, server, name string, kind uint16) (*dnslib.Msg, error) {
	question := new(dnslib.Msg).SetQuestion(name, kind).SetEdns0(udpSize, false)
	answer, err := exchange(ctx, "udp", server, question)
	if err == nil && answer.Truncated {
		answer, err = exchange(ctx, "tcp", server, question)
	}
	switch {
	case err != nil:
		return nil, err
	case answer.Truncated:
		return nil, fmt.Errorf("the resolver %s cut its answer over TCP", server)
	case answer.Rcode != dnslib.RcodeSuccess && answer.Rcode != dnslib.RcodeNameError:
		return nil, fmt.Errorf("the resolver %s answered %s", server, dnslib.RcodeToString[answer.Rcode])
	}
	return answer, nil
}

func exchange(ctx context.Context, network, server string, question *dnslib.Msg) (*dnslib.Msg, error) {
	client := dnslib.Client{Net: network, Timeout: queryTimeout, UDPSize: udpSize}
	answer, _, err := client.ExchangeContext(ctx, question, server)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the resolver %s: %w", server, reason(err))
	case !answers(answer, question):
		return nil, fmt.Errorf("the resolver %s answered another question", server)
	}
	return answer, nil
}

// answers reports whether the answer repeats the question.
func answers(answer, question *dnslib.Msg) bool {
	if !answer.Response || len(answer.Question) != 1 {
		return false
	}
	a, q := answer.Question[0], question.Question[0]
	return a.Qtype == q.Qtype && a.Qclass == q.Qclass && strings.EqualFold(a.Name, q.Name)
}

// reason returns the error of a connection without the ports of this host, which differ each time.
func reason(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("no answer in time")
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
