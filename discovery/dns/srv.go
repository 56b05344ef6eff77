package dns

import (
	"context"
	"math"
	"net/netip"
	"strconv"
	"strings"

	dnslib "github.com/miekg/dns"
)

// targets adds the servers that SRV records name, those of the best priority alone. extra is what the answer says
// besides, usually the addresses of the targets; all others are asked for. Weights do not count: Kubernetes gives all
// records of a service the same.
func (s *Source) targets(ctx context.Context, r *resolver, l *look, records, extra []dnslib.RR) error {
	known := addressesIn(extra)
	best := uint16(math.MaxUint16)
	for _, record := range records {
		best = min(best, record.(*dnslib.SRV).Priority) // records of this kind alone
	}
	for _, record := range records {
		srv := record.(*dnslib.SRV)
		if srv.Priority != best || s.cfg.Port != 0 && int(srv.Port) != s.cfg.Port || srv.Target == "." {
			continue
		}
		key := dnslib.CanonicalName(srv.Target)
		if known[key] == nil {
			address, err := l.resolve(ctx, r, srv.Target)
			if err != nil {
				return err
			}
			known[key] = address
		}
		if address := known[key]; addressOf(address).IsValid() {
			l.lasts(address)
			l.add(srv, s.nameOf(srv), addressOf(address), int(srv.Port))
		} else {
			l.unresolved++
		}
	}
	return nil
}

// unknown is the address of a target that has none.
var unknown = &dnslib.A{}

// resolve asks for the address of a target: IPv4, or else IPv6. It returns unknown if there is none, and an error if the
// resolver does not say.
func (l *look) resolve(ctx context.Context, r *resolver, target string) (dnslib.RR, error) {
	for _, kind := range []uint16{dnslib.TypeA, dnslib.TypeAAAA} {
		answer, err := r.query(ctx, target, kind)
		if err != nil {
			return nil, err
		}
		if record := lowest(l.records(answer, target, kind)); record != nil {
			return record, nil
		}
	}
	return unknown, nil
}

// addressesIn returns an address for each name that has any: the lowest of IPv4, or else of IPv6.
func addressesIn(records []dnslib.RR) map[string]dnslib.RR {
	byName := map[string][]dnslib.RR{}
	for _, record := range records {
		if addressOf(record).IsValid() {
			name := dnslib.CanonicalName(record.Header().Name)
			byName[name] = append(byName[name], record)
		}
	}
	found := map[string]dnslib.RR{}
	for name, records := range byName {
		found[name] = lowest(records)
	}
	return found
}

// lowest returns the record with the lowest address, IPv4 before IPv6, or nil. Answers have no order, and a server
// whose address changes is a new one.
func lowest(records []dnslib.RR) (least dnslib.RR) {
	var address netip.Addr
	for _, record := range records {
		if a := addressOf(record); least == nil || a.Less(address) {
			least, address = record, a
		}
	}
	return least
}

// nameOf names the server of a record. A target that stands directly below the name of the service, as the pods of a
// StatefulSet do, is called by its first label: vllm-0. Any other is called TARGET:PORT.
func (s *Source) nameOf(srv *dnslib.SRV) string {
	target := strings.TrimSuffix(dnslib.CanonicalName(srv.Target), ".")
	owner := strings.TrimSuffix(dnslib.CanonicalName(srv.Hdr.Name), ".")
	for strings.HasPrefix(owner, "_") { // _PORT._PROTOCOL.
		_, owner, _ = strings.Cut(owner, ".")
	}
	if label, is := strings.CutSuffix(target, "."+owner); is && !strings.Contains(label, ".") {
		return label
	}
	return target + ":" + strconv.Itoa(int(srv.Port))
}
