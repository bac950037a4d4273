// The two text formats of metrics: https://prometheus.io/docs/instrumenting/exposition_formats/ and OpenMetrics 1.0.
#include <charconv>
#include <cmath>
#include <string_view>

#include "vmrun/metrics.h"

namespace vmrun {
namespace {

/// The shortest text that reads as the same number.
void append_number(std::string& out, double number) {
  if (std::isnan(number)) {
    out += "NaN";
  } else if (std::isinf(number)) {
    out += number < 0 ? "-Inf" : "+Inf";
  } else {
    char text[40];
    // Whole numbers without an exponent, as far as doubles have them exactly.
    const bool whole = number == std::floor(number) && std::fabs(number) < 9007199254740992.0;
    const auto end = whole ? std::to_chars(text, text + sizeof text, static_cast<int64_t>(number))
                           : std::to_chars(text, text + sizeof text, number);
    out.append(text, end.ptr);
  }
}

/// `quotes`: they are escaped too.
void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

class MetricsTextWriter {
 public:
  explicit MetricsTextWriter(MetricsFormat format) : open_(format == MetricsFormat::OpenMetrics) {}

  void add(const Metric& metric) {
    const bool counter = metric.type == Metric::Type::Counter;
    constexpr const char* kTypes[] = {"counter", "gauge", "histogram"};
    // OpenMetrics names the family, the older format what its lines begin with.
    const std::string family = counter && !open_ ? metric.name + "_total" : metric.name;
    out_ += "# HELP " + family + " ";
    append_escaped(out_, metric.help, open_);
    out_ += "\n# TYPE " + family + " " + kTypes[static_cast<size_t>(metric.type)] + "\n";
    for (const Metric::Value& value : metric.values) {
      if (metric.type == Metric::Type::Histogram) {
        histogram(metric.name, value);
      } else {
        line(counter ? metric.name + "_total" : metric.name, value, nullptr, value.number);
      }
    }
  }
  std::string finish() {
    if (open_) out_ += "# EOF\n";
    return std::move(out_);
  }

 private:
  void histogram(const std::string& name, const Metric::Value& value) {
    for (const Metric::Bucket& bucket : value.buckets) {
      line(name + "_bucket", value, &bucket.bound, static_cast<double>(bucket.count));
    }
    const double last = HUGE_VAL;
    line(name + "_bucket", value, &last, static_cast<double>(value.count));
    line(name + "_count", value, nullptr, static_cast<double>(value.count));
    line(name + "_sum", value, nullptr, value.sum);
  }
  void line(const std::string& name, const Metric::Value& value, const double* bound, double number) {
    out_ += name;
    char before = '{';
    const auto label = [&](std::string_view key) {
      out_ += before;
      out_ += key;
      out_ += "=\"";
      before = ',';
    };
    for (const auto& [key, text] : value.labels) {
      label(key);
      append_escaped(out_, text, true);
      out_ += '"';
    }
    if (bound != nullptr) {
      label("le");
      append_number(out_, *bound);
      out_ += '"';
    }
    if (before == ',') out_ += '}';
    out_ += ' ';
    append_number(out_, number);
    out_ += '\n';
  }

  const bool open_;
  std::string out_;
};

}  // namespace

std::string metrics_text(const std::vector<Metric>& metrics, MetricsFormat format) {
  MetricsTextWriter writer(format);
  for (const Metric& metric : metrics) writer.add(metric);
  return writer.finish();
}

const char* metrics_content_type(MetricsFormat format) {
  return format == MetricsFormat::OpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                              : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace vmrun
