package kube

// object is what all objects have.
type object struct {
	Metadata metadata `json:"metadata"`
}

type metadata struct {
	Name            string            `json:"name"`
	ResourceVersion string            `json:"resourceVersion"`
	Annotations     map[string]string `json:"annotations"`
}

// endpointSlice is a part of the endpoints of a service (discovery.k8s.io/v1).
type endpointSlice struct {
	object
	AddressType string     `json:"addressType"` // IPv4, IPv6 or FQDN
	Endpoints   []endpoint `json:"endpoints"`
	Ports       []port     `json:"ports"`
}

type endpoint struct {
	Addresses  []string `json:"addresses"` // all of one endpoint; consumers use the first
	Conditions struct {
		Ready       *bool `json:"ready"`       // nil means true
		Serving     *bool `json:"serving"`     // nil means as ready
		Terminating *bool `json:"terminating"` // nil means false
	} `json:"conditions"`
	Hostname  string `json:"hostname"`
	TargetRef *struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"targetRef"`
}

type port struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"` // "" means TCP
	Port     int    `json:"port"`     // 0 means all ports
}

// status is what the API server answers in place of an object.
type status struct {
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Code    int    `json:"code"`
}
