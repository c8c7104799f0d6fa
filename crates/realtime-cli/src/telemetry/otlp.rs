//! The exporters: [`Telemetry`].

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryArgs;
use super::meters::Meters;
use super::post::Post;
use crate::Error;
use crate::environment::Environment;
use crate::figures::Count;

/// Whose spans are traced: those of calls.
const TRACED: [&str; 3] = ["realtime_client", "realtime_context", "realtime_pipeline"];

/// The variables that name a collector.
const ENDPOINTS: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
];

/// How long a request may take, unless OTEL_EXPORTER_OTLP_TIMEOUT (ms) says otherwise: the specification's.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long what is left may take at the end.
const REST: Duration = Duration::from_secs(5);

/// Sends traces and metrics, if somebody wants them.
#[derive(Debug)]
pub(crate) struct Telemetry(Option<Providers>);

#[derive(Debug)]
struct Providers {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    meters: Arc<Meters>,
}

impl Telemetry {
    /// Begins to send, to the collector of the command line or the environment. The exporters read the rest
    /// of the variables OTEL_EXPORTER_OTLP_…, such as headers, by themselves.
    ///
    /// # Errors
    /// An address or another setting cannot be used.
    pub(crate) fn begin(args: &TelemetryArgs, environment: &Environment) -> Result<Self, Error> {
        let is_disabled =
            environment.get("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
        let is_named = ENDPOINTS.iter().any(|name| environment.get(name).is_some());
        if is_disabled || (args.otlp.is_none() && !is_named) {
            return Ok(Self(None));
        }
        let deadline = environment.get("OTEL_EXPORTER_OTLP_TIMEOUT").and_then(|ms| ms.parse().ok());
        let post = Arc::new(Post::new(deadline.map_or(DEADLINE, Duration::from_millis))?);
        let (mut spans, mut figures) = (
            SpanExporter::builder().with_http().with_shared_http_client(post.clone()),
            MetricExporter::builder().with_http().with_shared_http_client(post),
        );
        if let Some(url) = &args.otlp {
            let url = url.trim_end_matches('/');
            spans = spans.with_endpoint(format!("{url}/v1/traces"));
            figures = figures.with_endpoint(format!("{url}/v1/metrics"));
        }
        let wrong = |error| format!("cannot send traces and metrics: {error}");
        let (spans, figures) = (spans.build().map_err(wrong)?, figures.build().map_err(wrong)?);
        let resource = resource(environment);
        let traces =
            SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(spans).build();
        let metrics =
            SdkMeterProvider::builder().with_resource(resource).with_periodic_exporter(figures).build();
        let meters = Arc::new(Meters::new(&metrics.meter("realtime")));
        Ok(Self(Some(Providers { traces, metrics, meters })))
    }

    /// What makes a trace of spans.
    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let traces = &self.0.as_ref()?.traces;
        let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer("realtime"));
        // Where in the code a span begins, and on which thread, says nothing about a call.
        let layer = layer.with_location(false).with_target(false).with_threads(false);
        let layer = layer.with_tracked_inactivity(false);
        let traced = Targets::new().with_targets(TRACED.map(|name| (name, LevelFilter::INFO)));
        Some(layer.with_filter(traced))
    }

    /// Who counts figures.
    pub(crate) fn meters(&self) -> Option<Arc<dyn Count>> {
        self.0.as_ref().map(|providers| Arc::clone(&providers.meters) as Arc<dyn Count>)
    }

    /// Sends what is left. Must not be called within a runtime.
    pub(crate) fn end(self) {
        if let Some(Providers { traces, metrics, .. }) = self.0 {
            // What could not be sent was told.
            let _ = traces.shutdown_with_timeout(REST);
            let _ = metrics.shutdown_with_timeout(REST);
        }
    }
}

/// Who sends: what the environment says, or `realtime`.
fn resource(environment: &Environment) -> Resource {
    let attributes = environment.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let is_named = environment.get("OTEL_SERVICE_NAME").is_some() || attributes.contains("service.name=");
    let resource = Resource::builder();
    if is_named { resource.build() } else { resource.with_service_name("realtime").build() }
}
