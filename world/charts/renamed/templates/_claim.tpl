{{/* The claim has another name than before: an agent that was there gets a new, empty one. */}}
{{- define "agent.existingClaim" -}}
{{ get (.spec.persistence | default dict) "existingClaim" }}
{{- end }}

{{- define "agent.claim" -}}
{{ include "agent.existingClaim" . | default (printf "%s-home" (include "agent.fullname" .)) }}
{{- end }}

{{- define "agent.ownsClaim" -}}
{{ and (eq (include "agent.persistent" .) "true") (not (include "agent.existingClaim" .)) }}
{{- end }}

{{- define "agent.claimAnnotations" -}}
helm.sh/resource-policy: keep
{{- end }}
