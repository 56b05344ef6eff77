package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// reloads counts changes of a file, by whether tether could use the new content.
type reloads struct {
	total      *prometheus.CounterVec
	ok, failed prometheus.Counter
}

// newReloads creates both series at once: a rate sees the first failure only if the series existed with 0 before.
func newReloads(d *definition) reloads {
	total := counterVec(d)
	return reloads{total, total.WithLabelValues("ok"), total.WithLabelValues("failed")}
}

func (r *reloads) count(ok bool) {
	if ok {
		r.ok.Inc()
	} else {
		r.failed.Inc()
	}
}

// configuration counts reloads of the configuration.
type configuration struct {
	reloads  reloads
	ok       prometheus.Gauge
	loadedAt prometheus.Gauge
}

func (c *configuration) init() []prometheus.Collector {
	c.reloads, c.ok, c.loadedAt = newReloads(configReloads), gauge(configOK), gauge(configLoaded)
	return []prometheus.Collector{c.reloads.total, c.ok, c.loadedAt}
}

// ConfigLoaded notes that the configuration of the start is in force.
func (m *Metrics) ConfigLoaded(now time.Time) { m.configuration.note(true, now) }

// ConfigReloaded counts a reload of the configuration. ok is false if the new configuration is not in force.
func (m *Metrics) ConfigReloaded(ok bool, now time.Time) {
	m.configuration.reloads.count(ok)
	m.configuration.note(ok, now)
}

func (c *configuration) note(ok bool, now time.Time) {
	c.ok.Set(boolValue(ok))
	if ok {
		c.loadedAt.Set(float64(now.UnixMilli()) / 1000)
	}
}

// Certificate is a certificate in force, with its name in the label "of".
type Certificate struct {
	Of string
	// Expires returns when it expires, the zero time without a certificate.
	Expires func() time.Time
}

// certificates collects when the certificates in force expire, and counts changes of their files.
type certificates struct {
	reloads reloads
	inForce atomic.Pointer[[]Certificate]
	expires *prometheus.Desc
}

func (c *certificates) init() []prometheus.Collector {
	c.reloads, c.expires = newReloads(certificateReloads), certificateExpires.desc()
	return []prometheus.Collector{c.reloads.total, c}
}

// Certificates replaces the certificates in force.
func (m *Metrics) Certificates(all []Certificate) { m.certificates.inForce.Store(&all) }

// CertificateReloaded counts a change of certificate files. ok is false if the new files are invalid.
func (m *Metrics) CertificateReloaded(ok bool) { m.certificates.reloads.count(ok) }

// Describe implements prometheus.Collector.
func (c *certificates) Describe(ch chan<- *prometheus.Desc) { ch <- c.expires }

// Collect implements prometheus.Collector.
func (c *certificates) Collect(ch chan<- prometheus.Metric) {
	all := c.inForce.Load()
	if all == nil {
		return
	}
	for _, one := range *all {
		if at := one.Expires(); !at.IsZero() {
			ch <- prometheus.MustNewConstMetric(c.expires, prometheus.GaugeValue, float64(at.Unix()), one.Of)
		}
	}
}
