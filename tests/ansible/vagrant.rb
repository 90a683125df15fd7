# Reads a Vagrantfile without Vagrant, and prints as JSON what it asks for.
require "json"
require "ostruct"

# Takes every setting, and remembers it.
class Settings < OpenStruct
  def define(name)
    machine = Machine.new
    yield machine
    (self.machines ||= {})[name] = machine
  end

  def network(kind, **options)
    self.networks = (networks || []) << options.merge(kind: kind)
  end

  def provision(kind, **options)
    settings = Settings.new(options)
    yield settings if block_given?
    self.provisioners = (provisioners || []) << settings.to_h.merge(kind: kind)
  end

  def synced_folder(*, **); end
end

class Machine
  attr_reader :vm

  def initialize
    @vm = Settings.new
  end
end

module Vagrant
  def self.configure(_version)
    machine = Machine.new
    yield machine
    puts JSON.generate(machine.vm.machines.transform_values { |each| each.vm.to_h })
  end
end

load ARGV.fetch(0)
