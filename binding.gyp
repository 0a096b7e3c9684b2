{
  "targets": [
    {
      "target_name": "kvm",
      "sources": [
        "native/addon.cc",
        "native/call.cc",
        "native/core.cc",
        "native/device_fd.cc",
        "native/event_fd.cc",
        "native/mapping.cc",
        "native/system_fd.cc",
        "native/vcpu_fd.cc",
        "native/vm_fd.cc"
      ],
      "defines": [
        "NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
        # In a Worker that is being terminated an error that cannot be thrown is no reason to abort.
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
        # std::string from its header alone, as everything else of the C++ runtime.
        "_GLIBCXX_EXTERN_TEMPLATE=0"
      ],
      "cflags_cc": [
        "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti",
        "-fno-threadsafe-statics", "-mno-outline-atomics"
      ],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      # Of the C++ runtime the addon uses headers only, so that with --as-needed no libstdc++ is needed: it runs with any.
      "ldflags": ["-Wl,--as-needed", "-static-libgcc"],
      "conditions": [
        # Anywhere else there is nothing to build, and building nothing succeeds.
        ["OS!=\"linux\" or target_arch!=\"arm64\"", {
          "type": "none",
          "sources/": [["exclude", ".*"]]
        }, {
          "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"]
        }]
      ]
    }
  ]
}
