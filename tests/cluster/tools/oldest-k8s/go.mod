module zenlayer-port-operator/tests/cluster/tools/oldest-k8s

go 1.26.0

require k8s.io/kubernetes v1.30.14
