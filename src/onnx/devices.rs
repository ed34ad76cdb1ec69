//! Messages about several devices: which there are, and which node runs where. Read and written, never used.

use prost::Message;

use super::values::DimValue;

/// A named set of devices for a model that runs on several of them.
#[derive(Clone, PartialEq, Message)]
pub struct DeviceConfigurationProto {
    /// What `NodeDeviceConfigurationProto::configuration_id` refers to.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// How many devices there are, at least one.
    #[prost(int32, optional, tag = "2")]
    pub num_devices: Option<i32>,
    /// Names of the devices, `num_devices` of them, or empty.
    #[prost(string, repeated, tag = "3")]
    pub device: Vec<String>,
}

/// How one node is spread over the devices of one configuration.
#[derive(Clone, PartialEq, Message)]
pub struct NodeDeviceConfigurationProto {
    /// The name of a [`DeviceConfigurationProto`] of the model.
    #[prost(string, optional, tag = "1")]
    pub configuration_id: Option<String>,
    /// Inputs and outputs of the node that are split or copied over devices; the others are not.
    #[prost(message, repeated, tag = "2")]
    pub sharding_spec: Vec<ShardingSpecProto>,
    /// The stage of a pipeline that the node belongs to; absent where there is none.
    #[prost(int32, optional, tag = "3")]
    pub pipeline_stage: Option<i32>,
}

/// How one tensor is split or copied over devices.
#[derive(Clone, PartialEq, Message)]
pub struct ShardingSpecProto {
    /// An input or output of the node that this stands at.
    #[prost(string, optional, tag = "1")]
    pub tensor_name: Option<String>,
    /// Indices of devices of the configuration, or of groups of them: `index_to_device_group_map` says which.
    #[prost(int64, repeated, packed = "false", tag = "2")]
    pub device: Vec<i64>,
    /// The indices in `device` that stand for several devices, which hold the same part.
    #[prost(message, repeated, tag = "3")]
    pub index_to_device_group_map: Vec<IntIntListEntryProto>,
    /// The axes that are split; the tensor is whole along the others.
    #[prost(message, repeated, tag = "4")]
    pub sharded_dim: Vec<ShardedDimProto>,
}

/// An entry of a map from a number to numbers.
#[derive(Clone, PartialEq, Message)]
pub struct IntIntListEntryProto {
    /// An index that `device` uses.
    #[prost(int64, optional, tag = "1")]
    pub key: Option<i64>,
    /// Indices of the devices that it stands for.
    #[prost(int64, repeated, packed = "false", tag = "2")]
    pub value: Vec<i64>,
}

/// How one axis of a tensor is split.
#[derive(Clone, PartialEq, Message)]
pub struct ShardedDimProto {
    /// In -rank..rank; a negative one counts from the back.
    #[prost(int64, optional, tag = "1")]
    pub axis: Option<i64>,
    /// The pieces one after another; one entry unless the axis was reshaped out of several.
    #[prost(message, repeated, tag = "2")]
    pub simple_sharding: Vec<SimpleShardedDimProto>,
}

/// An axis, or a part of one, cut into equal pieces.
#[derive(Clone, PartialEq, Message)]
pub struct SimpleShardedDimProto {
    /// Its size; may be open.
    #[prost(oneof = "DimValue", tags = "1,2")]
    pub dim: Option<DimValue>,
    /// How many pieces there are.
    #[prost(int64, optional, tag = "3")]
    pub num_shards: Option<i64>,
}
