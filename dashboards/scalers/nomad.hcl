# Goes into the group of a Nomad job. The target-value strategy brings tolerance (threshold) and cooldown of its
# own. An empty answer of Prometheus is an error, and on_error = "ignore" leaves the count alone.
scaling {
  enabled = true
  min     = 2
  max     = 20

  policy {
    evaluation_interval = "15s"
    cooldown            = "1m"
    on_check_error      = "ignore"

    check "load" {
      source       = "prometheus"
      query        = "service:containerpilot_scaling_wanted:max{service=\"web\"} / service:containerpilot_scaling_instances:max{service=\"web\"}"
      query_window = "1m"

      strategy "target-value" {
        target    = 1
        threshold = 0.1
      }
    }
  }
}
