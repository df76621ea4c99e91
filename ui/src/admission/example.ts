// What stands in the playground when it opens: a small policy, and an object that it denies.
export const EXAMPLE_POLICIES = `apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: requiredlabels
  annotations:
    metadata.gatekeeper.sh/title: Required labels
spec:
  crd:
    spec:
      names:
        kind: RequiredLabels
      validation:
        openAPIV3Schema:
          type: object
          properties:
            labels:
              type: array
              items: {type: string}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package requiredlabels
        violation[{"msg": msg, "details": {"path": "metadata.labels", "expected": label}}] {
          label := input.parameters.labels[_]
          not has_label(label)
          msg := sprintf("the label %v is missing", [label])
        }
        has_label(label) {
          input.review.object.metadata.labels[label]
        }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: RequiredLabels
metadata:
  name: every-pod-has-an-owner
spec:
  enforcementAction: deny
  match:
    kinds:
      - apiGroups: [""]
        kinds: [Pod]
  parameters:
    labels: [owner]
`;

export const EXAMPLE_MANIFESTS = `apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels:
    app: web
spec:
  containers:
    - name: web
      image: registry.example.com/web@sha256:0f1e
---
apiVersion: v1
kind: Pod
metadata:
  name: api
  namespace: shop
  labels:
    owner: team-api
spec:
  containers:
    - name: api
      image: registry.example.com/api@sha256:0f1e
`;
