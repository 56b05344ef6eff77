package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	dnslib "github.com/miekg/dns"

	"tether/discovery"
)

// look is what one look found.
type look struct {
	found []discovery.Found
	ttl   time.Duration // the shortest of the records that count
	// The records that do not count, by the reason.
	foreign, unusable, repeated, surplus int
	unresolved                           int // targets without an address
}

// problem says which records did not count; nil if all did.
func (l *look) problem() error {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{l.foreign, "of another name"},
		{l.unusable, "that name no usable server"},
		{l.unresolved, "whose target has no address"},
		{l.repeated, "of one more port of a target"},
		{l.surplus, fmt.Sprintf("beyond the first %d", discovery.MaxServers)},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return errors.New("the answer has records that do not count: " + strings.Join(parts, ", "))
}

// look asks for the servers. It returns an error unless the answer has at least one.
func (s *Source) look(ctx context.Context) (*look, error) {
	r, err := newResolver(s.cfg.Resolver, systemConfig)
	if err != nil {
		return nil, err
	}
	return s.ask(ctx, r)
}

// ask asks r for the first name of the search list that has servers.
func (s *Source) ask(ctx context.Context, r *resolver) (*look, error) {
	candidates := r.candidates(s.cfg.Name)
	if s.full != "" {
		candidates = []string{s.full}
	}
	exists := false
	for _, name := range candidates {
		answer, err := r.query(ctx, name, types[s.cfg.Type])
		if err != nil {
			return nil, err
		}
		exists = exists || answer.Rcode == dnslib.RcodeSuccess
		l, err := s.read(ctx, r, name, answer)
		if err != nil {
			return nil, err
		}
		if len(l.found) > 0 {
			s.full = name
			return l, nil
		}
	}
	if !exists {
		return nil, errors.New("the name does not exist (NXDOMAIN)")
	}
	return nil, fmt.Errorf("the answer has no usable %s record", s.cfg.Type)
}

// read finds the servers in an answer.
func (s *Source) read(ctx context.Context, r *resolver, name string, answer *dnslib.Msg) (*look, error) {
	l := &look{ttl: longest}
	records := l.records(answer, name, types[s.cfg.Type])
	if s.cfg.Type != typeSRV {
		for _, record := range records {
			l.add(record, "", addressOf(record), s.cfg.Port)
		}
	} else if err := s.targets(ctx, r, l, records, answer.Extra); err != nil {
		return nil, err
	}
	slices.SortFunc(l.found, func(a, b discovery.Found) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Address, b.Address))
	})
	l.found = slices.CompactFunc(l.found, func(a, b discovery.Found) bool {
		if a.Name == b.Name && a.Address != b.Address {
			l.repeated++
		}
		return a.Name == b.Name
	})
	if len(l.found) > discovery.MaxServers {
		l.surplus = len(l.found) - discovery.MaxServers
		l.found = l.found[:discovery.MaxServers]
	}
	return l, nil
}

// maxAliases limits a chain of CNAME records.
const maxAliases = 16

// records returns the records of a kind that belong to name, or to what name is an alias of.
func (l *look) records(answer *dnslib.Msg, name string, kind uint16) (own []dnslib.RR) {
	owners := map[string]bool{dnslib.CanonicalName(name): true}
	for range maxAliases {
		known := len(owners)
		for _, record := range answer.Answer {
			if alias, is := record.(*dnslib.CNAME); is && owners[dnslib.CanonicalName(alias.Hdr.Name)] {
				owners[dnslib.CanonicalName(alias.Target)] = true
				l.lasts(record)
			}
		}
		if len(owners) == known {
			break
		}
	}
	for _, record := range answer.Answer {
		switch h := record.Header(); {
		case !owners[dnslib.CanonicalName(h.Name)] || h.Class != dnslib.ClassINET:
			l.foreign++
		case h.Rrtype == kind:
			own = append(own, record)
		}
	}
	return own
}

// lasts notes how long a record that counts holds.
func (l *look) lasts(record dnslib.RR) {
	l.ttl = min(l.ttl, time.Duration(record.Header().Ttl)*time.Second)
}

// add adds a server. Without a name, the server is called by its address.
func (l *look) add(record dnslib.RR, name string, ip netip.Addr, port int) {
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || port == 0 {
		l.unusable++
		return
	}
	l.lasts(record)
	address := net.JoinHostPort(ip.String(), strconv.Itoa(port))
	l.found = append(l.found, discovery.Found{Name: cmp.Or(name, address), Address: address})
}

// addressOf returns the address of an A or AAAA record, and the zero address for any other.
func addressOf(record dnslib.RR) netip.Addr {
	var ip net.IP
	switch r := record.(type) {
	case *dnslib.A:
		ip = r.A
	case *dnslib.AAAA:
		ip = r.AAAA
	}
	address, _ := netip.AddrFromSlice(ip)
	return address.Unmap()
}
