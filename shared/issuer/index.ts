export {
  createRegistrar,
  type Registrar,
  type RegistrarOptions,
  type RegistrarStats,
} from './registrar.ts'
