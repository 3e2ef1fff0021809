{{/* How the Hub calls the service. */}}
{{- define "ngshare.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of Deployment and Service. */}}
{{- define "ngshare.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $default | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What selectors can't ever change. */}}
{{- define "ngshare.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ngshare.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "ngshare.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "ngshare.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* A value as text: a number as it was written, not as 2.0261234e+07, and nothing for null. */}}
{{- define "ngshare.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else if not (kindIs "invalid" .) }}{{ toJson . }}{{ end -}}
{{- end -}}

{{- define "ngshare.tag" -}}
{{- include "ngshare.text" .Values.image.tag | default .Chart.AppVersion -}}
{{- end -}}

{{/* Begins and ends with a slash. */}}
{{- define "ngshare.hubBaseUrl" -}}
{{- printf "/%s/" (.Values.ngshare.hub_base_url | default "/" | trimAll "/") | replace "//" "/" -}}
{{- end -}}

{{- define "ngshare.prefix" -}}
{{- printf "%sservices/%s/" (include "ngshare.hubBaseUrl" .) (include "ngshare.name" .) -}}
{{- end -}}

{{- define "ngshare.url" -}}
http://{{ include "ngshare.fullname" . }}.{{ .Release.Namespace }}.svc.cluster.local:{{ int .Values.deployment.port }}
{{- end -}}

{{- define "ngshare.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "ngshare.fullname" .) "default") -}}
{{- end -}}

{{/* The Secret's value of a key, in base64: the given one, else that of the cluster, else a new one.
     Takes a list: the root, the key, the given one. */}}
{{- define "ngshare.secret" -}}
{{- $root := index . 0 -}}
{{- $given := include "ngshare.text" (index . 2) -}}
{{- $live := lookup "v1" "Secret" $root.Release.Namespace (printf "%s-token" (include "ngshare.name" $root)) | default dict -}}
{{- if $given }}{{ b64enc $given }}{{ else }}{{ dig "data" (index . 1) (randAlphaNum 48 | b64enc) $live }}{{ end -}}
{{- end -}}

{{- define "ngshare.args" -}}
{{- $args := list -}}
{{- if .Values.ngshare.debug }}{{ $args = append $args "--debug" }}{{ end -}}
{{- if not .Values.ngshare.upgrade_db }}{{ $args = append $args "--no-upgrade-db" }}{{ end -}}
{{- $admins := list -}}
{{- range .Values.ngshare.admins -}}
  {{- $admins = append $admins (include "ngshare.text" .) -}}
{{- end -}}
{{- with $admins }}{{ $args = concat $args (list "--admins" (join "," .)) }}{{ end -}}
{{- range .Values.ngshare.args }}{{ $args = append $args (include "ngshare.text" .) }}{{ end -}}
{{- toYaml $args -}}
{{- end -}}

{{- define "ngshare.env" -}}
{{- $name := include "ngshare.name" . -}}
{{- $secret := printf "%s-token" $name -}}
{{- $env := dict
  "JUPYTERHUB_SERVICE_NAME" (dict "value" $name)
  "JUPYTERHUB_API_TOKEN" (dict "valueFrom" (dict "secretKeyRef" (dict "name" $secret "key" "token")))
  "JUPYTERHUB_API_URL" (dict "value" .Values.ngshare.hub_api_url)
  "JUPYTERHUB_BASE_URL" (dict "value" (include "ngshare.hubBaseUrl" .))
  "JUPYTERHUB_SERVICE_PREFIX" (dict "value" (include "ngshare.prefix" .))
  "JUPYTERHUB_SERVICE_URL" (dict "value" "http://0.0.0.0:8080/")
  "JUPYTERHUB_CLIENT_ID" (dict "value" (.Values.ngshare.oauth_client_id | default (printf "service-%s" $name)))
-}}
{{- with .Values.ngshare.database -}}
{{- if .existingSecret -}}
  {{- $_ := set $env "NGSHARE_DATABASE" (dict "valueFrom" (dict "secretKeyRef" (dict "name" .existingSecret "key" .key))) -}}
{{- end -}}
{{- end -}}
{{- if .Values.serviceMonitor.enabled -}}
  {{- $_ := set $env "NGSHARE_METRICS_TOKEN" (dict "valueFrom" (dict "secretKeyRef" (dict "name" $secret "key" "metrics-token"))) -}}
{{- end -}}
{{- range $key, $value := .Values.ngshare.env -}}
  {{- $_ := set $env $key (dict "value" (include "ngshare.text" $value)) -}}
{{- end -}}
{{- range $key, $source := $env }}
- name: {{ $key | quote }}
  {{- toYaml $source | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Refuses values that would harm. */}}
{{- define "ngshare.check" -}}
{{- range .Values.ngshare.admins -}}
  {{- if contains "," (include "ngshare.text" .) -}}
    {{- fail (printf "ngshare.admins: %q has a comma, which no name may have: write one name per item" .) -}}
  {{- end -}}
{{- end -}}
{{- if not .Values.ngshare.database.existingSecret -}}
  {{- if gt (int .Values.deployment.replicaCount) 1 -}}
    {{- fail "deployment.replicaCount: SQLite takes one replica; for more give a PostgreSQL database by ngshare.database.existingSecret" -}}
  {{- end -}}
  {{- if .Values.autoscaling.enabled -}}
    {{- fail "autoscaling.enabled: SQLite takes one replica; for more give a PostgreSQL database by ngshare.database.existingSecret" -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (not (dig "requests" "cpu" "" (.Values.deployment.resources | default dict))) -}}
  {{- fail "autoscaling.enabled: its target is a percentage of deployment.resources.requests.cpu, which is missing" -}}
{{- end -}}
{{- end -}}
